// SPDX-License-Identifier: MIT
// From the SIGKILL of a holder to the next holder: as it comes, with a child of the dead living on, with much memory to be torn down, with many locks.
#include <fmt/core.h>

#include <atomic>
#include <cstring>

#include "bench.hpp"
#include "python.hpp"

namespace bench {
namespace {

constexpr int kMostLocks = 64;
constexpr std::size_t kMuch = 512u << 20;

struct State {
  std::atomic<int> ready, round, waiting, granted;
  std::atomic<pid_t> child;
  std::atomic<bool> held;
  std::atomic<std::int64_t> granted_at[kMostLocks];
};

struct Dying {
  int deaths;
  bool leaves_child = false;
  bool has_much_memory = false;
};

// Waits for its lock in each round; the first round is 1.
void wait_each_round(State& s, const Kind& kind, int number, int rounds) {
  const auto lock = kind.make();
  lock->pairs(1);
  s.ready.fetch_add(1);
  for (int round = 1; round <= rounds; ++round) {
    await([&] { return s.round >= round; });
    s.waiting.fetch_add(1);
    lock->lock();
    s.granted_at[number] = now_ns();
    lock->unlock();
    s.granted.fetch_add(1);
  }
}

// Takes everything and waits to be killed.
[[noreturn]] void hold_until_killed(State& s, const std::vector<Kind>& kinds, const Dying& how) {
  std::vector<std::unique_ptr<Contender>> locks;
  for (const Kind& kind : kinds) {
    locks.push_back(kind.make());
    locks.back()->lock();
  }
  std::unique_ptr<char[]> memory;
  if (how.has_much_memory) {
    memory.reset(new char[kMuch]);
    std::memset(memory.get(), 1, kMuch);
  }
  if (how.leaves_child) s.child = stress::spawn([] { pause(); });
  s.held = true;
  for (;;) pause();
}

// One of `kinds` for each lock. Microseconds until the last of them had its next holder.
std::vector<double> measure(const std::vector<Kind>& kinds, const Dying& how) {
  const stress::Shared<State> s;
  stress::Dice dice{1};
  const int locks = static_cast<int>(kinds.size());
  Children waiters;
  for (int i = 0; i < locks; ++i) waiters.add([&, i] { wait_each_round(*s, kinds[static_cast<std::size_t>(i)], i, how.deaths); });
  await([&] { return s->ready == locks; });
  std::vector<double> took;
  for (int round = 1; round <= how.deaths; ++round) {
    const pid_t holder = stress::spawn([&] { hold_until_killed(*s, kinds, how); });
    await([&] { return s->held.load(); });
    s->waiting = s->granted = 0;
    s->round = round;
    await([&] { return s->waiting == locks; });
    stress::nap(dice.time(200, 1500));  // waited for long, or just lain down
    const std::int64_t killed = now_ns();
    kill(holder, SIGKILL);
    await([&] { return s->granted == locks; });
    std::int64_t last = 0;
    for (int i = 0; i < locks; ++i) last = std::max(last, s->granted_at[i].load());
    took.push_back(static_cast<double>(last - killed) / 1000);
    waitpid(holder, nullptr, 0);
    s->held = false;
    if (how.leaves_child) kill(s->child, SIGKILL);
  }
  waiters.join();
  return took;
}

// Whether anybody gets the lock within a second of its holder's death: asked once, of those that are not expected to.
bool comes_free(const Kind& kind) {
  const stress::Shared<State> s;
  Children waiter;
  const pid_t holder = stress::spawn([&] { hold_until_killed(*s, {kind}, {.deaths = 1}); });
  await([&] { return s->held.load(); });
  waiter.add([&] {
    const auto lock = kind.make();
    s->waiting = 1;
    lock->lock();
    s->granted = 1;
  });
  await([&] { return s->waiting == 1; });
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  stress::nap(stress::milliseconds{1000});
  return s->granted != 0;
}

struct Promise {
  std::optional<double> middle, nearly_all;  // microseconds
};

class Deaths {
 public:
  explicit Deaths(Bench& bench) : bench_{bench} {}

  void tell(const std::string& what, const std::vector<Kind>& kinds, const Dying& how, const Promise& promise) {
    bench_.report.progress(fmt::format("{}, {}, {} times", kinds.front().name, what, how.deaths));
    tell(what, kinds.front().name, measure(kinds, how), promise);
  }
  void tell(const std::string& what, const std::string& who, const std::vector<double>& took, const Promise& promise) {
    const auto bound = [](std::optional<double> at_most) { return at_most ? std::optional{Bound{*at_most}} : std::nullopt; };
    bench_.report.add({what + ", median", who, median(took), "us", bound(promise.middle)});
    const bool many = took.size() >= 1000;
    bench_.report.add({what + (many ? ", 99.9 % within" : ", worst"), who, quantile(took, many ? 0.999 : 1), "us", bound(promise.nearly_all)});
  }

 private:
  Bench& bench_;
};

}  // namespace

void death(Bench& bench) {
  const int most = bench.choose(1000, 100, 3), some = bench.choose(200, 50, 3), few = bench.choose(20, 5, 2);
  const std::string killed = "SIGKILL to the next holder", parent = killed + ", whose child lives on", large = killed + ", 512 MiB resident";
  const std::string many = fmt::format("{} of the last of {} locks", killed, kMostLocks);
  const sherlock::Options patient{.timeout = std::chrono::seconds{20}};
  Deaths deaths{bench};

  for (const Kind& kind : peers({Peer::robust, Peer::flock, Peer::ofd, Peer::boost, Peer::futex, Peer::begin}, bench.place / "death")) {
    if (!kind.dies_held)
      deaths.tell(killed, {kind}, {.deaths = kind.name == "SQLite BEGIN IMMEDIATE" ? few : some}, {});
    else if (!bench.smoke() && !comes_free(kind))
      bench.report.add({killed + ", median", kind.name, {}, "us"});
  }
  for (const auto& store : bench.stores) {
    const std::vector<Kind> one{sherlock(*store, "death", patient)};
    deaths.tell(killed, one, {.deaths = most}, {1000, 10'000});
    deaths.tell(parent, one, {.deaths = most, .leaves_child = true}, {1000, 10'000});
  }
  std::vector<std::string> missing;
  Python python{bench.programs};
  for (const Kind& kind : python_kinds(bench.programs, missing)) {
    std::vector<double> took;
    for (int i = 0; i < bench.choose(10, 5, 2); ++i) took.push_back(python.ask(fmt::format("die {} {}.{}", kind.python, bench.place / "death", kind.python)).front());
    deaths.tell(killed, kind.name, took, {});
  }

  if (bench.smoke()) return;
  const auto of_many = [&](const auto& make) {
    std::vector<Kind> kinds;
    for (int i = 0; i < kMostLocks; ++i) kinds.push_back(make(fmt::format("death {}", i)));
    deaths.tell(many, kinds, {.deaths = few}, kinds.front().name.starts_with("sherlock") ? Promise{10'000, {}} : Promise{});
  };
  for (const Peer which : {Peer::robust, Peer::flock}) {
    of_many([&](const std::string& name) { return peer(which, bench.place / name); });
    deaths.tell(large, {peer(which, bench.place / "death")}, {.deaths = few, .has_much_memory = true}, {});
  }
  for (const auto& store : bench.stores) {
    of_many([&](const std::string& name) { return sherlock(*store, name, patient); });
    deaths.tell(large, {sherlock(*store, "death", patient)}, {.deaths = few, .has_much_memory = true}, {30'000, {}});
  }
}

}  // namespace bench
