// SPDX-License-Identifier: MIT
// 1 to 1,000 processes wait for one lock, which each holds for a millisecond: does a release wake one of them, or all? What a waiter takes of memory, and how
// often it looks by itself while nothing happens.
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "bench.hpp"
#include "proc.hpp"

namespace bench {
namespace {

constexpr std::size_t kMost = 1 << 16;

struct State {
  std::atomic<int> ready;
  std::atomic<bool> stop, keep;  // keep: who has the lock does not let go
  std::atomic<pid_t> holder;
  std::atomic<std::int64_t> released, own_kib;  // by holders; of all together
  std::atomic<std::size_t> hand_offs;
  float took[kMost];  // microseconds
};

// Processes sleep here until all may go: a thousand that look now and then would leave a slow machine no time for those who are not ready.
class Start {
 public:
  Start() : event_{eventfd(0, EFD_CLOEXEC)} {
    if (event_ < 0) throw std::runtime_error{"cannot make an eventfd"};
  }
  ~Start() { close(event_); }
  Start(const Start&) = delete;
  Start& operator=(const Start&) = delete;

  void wait() const {
    pollfd event{event_, POLLIN, 0};
    while (poll(&event, 1, -1) != 1) {
    }
  }
  void go() const {
    if (eventfd_write(event_, 1) != 0) throw std::runtime_error{"cannot write to an eventfd"};
  }

 private:
  const int event_;
};

void take_turns(State& s, const Start& start, const Kind& kind) {
  const std::int64_t own = own_memory();
  const auto lock = kind.make();
  lock->pairs(1);
  s.own_kib.fetch_add(own_memory() - own);
  s.ready.fetch_add(1);
  start.wait();
  while (!s.stop) {
    lock->lock();
    const std::int64_t now = now_ns(), released = s.released;
    s.holder = getpid();
    if (!s.stop) {
      const std::size_t i = s.hand_offs.load();
      if (released != 0 && i < kMost) s.took[i] = static_cast<float>(now - released) / 1000;
      s.hand_offs = i + 1;
      do {
        stress::nap(stress::milliseconds{1});
      } while (s.keep);
    }
    s.released = now_ns();
    lock->unlock();
  }
}

struct Outcome {
  double switches, woken, alone, median_us, own_kib;  // switches a hand-off; those that it has made; those a second of a waiter while nothing happens
};

Outcome measure(const Kind& kind, int waiters, double seconds) {
  const stress::Shared<State> s;
  const Start start;
  Children all;
  std::vector<pid_t> pids;
  for (int i = 0; i <= waiters; ++i) pids.push_back(all.add([&] { take_turns(*s, start, kind); }));
  const auto all_ready = [&] {
    if (!all.all_there()) throw std::runtime_error{"not all processes could wait"};
    return s->ready == waiters + 1;
  };
  await(all_ready, stress::milliseconds{5});
  start.go();
  const auto all_switches = [&](pid_t except) {
    std::int64_t n = 0;
    for (const pid_t pid : pids) n += pid == except ? 0 : context_switches(pid);
    return n;
  };
  // Switches a second, and the seconds.
  const auto count = [&](double time, pid_t except) {
    const std::int64_t before = all_switches(except), begin = now_ns();
    stress::nap(stress::nanoseconds{static_cast<std::int64_t>(time * 1e9)});
    const double took = static_cast<double>(now_ns() - begin) / 1e9;
    return std::pair{static_cast<double>(all_switches(except) - before) / took, took};
  };
  s->keep = true;
  stress::nap(stress::milliseconds{100 + waiters / 2});  // everybody has lain down
  const double quiet = count(seconds / 3, s->holder).first;
  s->keep = false;
  stress::nap(stress::milliseconds{50});
  const std::size_t first = s->hand_offs;
  const auto [busy, took] = count(seconds, 0);
  const std::size_t last = std::min(s->hand_offs.load(), kMost);
  s->stop = true;
  all.join();
  constexpr double kNever = std::numeric_limits<double>::infinity();
  if (last <= first) return {kNever, kNever, kNever, kNever, 0};
  const double hand_offs = static_cast<double>(last - first) / took;
  return {busy / hand_offs, std::max(0.0, busy - quiet) / hand_offs, quiet / waiters, median({s->took + first, s->took + last}),
          static_cast<double>(s->own_kib) / (waiters + 1)};
}

}  // namespace

void waiters(Bench& bench) {
  std::vector<Kind> kinds = peers({Peer::robust, Peer::boost, Peer::flock}, bench.place / "waiters");
  for (const auto& store : bench.stores) kinds.push_back(sherlock(*store, "waiters", {.timeout = std::chrono::seconds{100}}));
  for (const int waiters : {1, 10, 64, 1000}) {
    if (bench.smoke() && waiters > 10) break;
    for (const Kind& kind : kinds) {
      bench.report.progress(fmt::format("{} waiters, {}", waiters, kind.name));
      const bool ours = kind.name.starts_with("sherlock");
      constexpr double kNever = std::numeric_limits<double>::infinity();
      Outcome o{kNever, kNever, kNever, kNever, 0};
      try {
        o = measure(kind, waiters, bench.choose(1.5, 0.6, 0.1));
      } catch (const std::runtime_error& e) {
        bench.report.note(fmt::format("{} waiters, {}: {}", waiters, kind.name, e.what()));
      }
      const auto tell = [&](const char* what, double value, const char* unit, std::optional<Bound> bound = {}) {
        bench.report.add({what, kind.name, value < kNever ? std::optional{value} : std::nullopt, unit, bound, waiters, "waiters"});
      };
      const auto bound = [&](bool is_there) { return ours && is_there ? std::optional{Bound{6}} : std::nullopt; };
      tell("context switches a hand-off", o.switches, "", bound(waiters == 64));
      tell("context switches that a hand-off makes, beyond those of waiters left alone", o.woken, "", bound(waiters > 64));
      tell("looks a second of a waiter that is left alone", o.alone, "/s");
      tell("hand-off among waiters, median", o.median_us, "us");
      if (waiters == 64) tell("memory of a process that waits, beyond what it had", o.own_kib, "KiB");
    }
  }
}

}  // namespace bench
