// SPDX-License-Identifier: MIT
// Two processes hand one lock to and fro: from just before the release in one to the return of lock() in the other, which was asleep.
#include <fmt/core.h>

#include <atomic>
#include <map>

#include "bench.hpp"
#include "python.hpp"

namespace bench {
namespace {

struct Promise {
  const char* backend;
  const char* of;
  double times;
};
constexpr Promise kPromises[] = {{"file", "flock(2)", 1.2}, {"shm", "futex word", 1.2}, {"sqlite", "futex word", 2.0}};

constexpr int kMost = 4096;

struct State {
  std::atomic<int> ready;
  std::atomic<int> turn;  // how often the lock was handed over
  std::atomic<std::int64_t> released;
  double took[kMost];
};

// The waiter goes to sleep while the holder does its 100 to 200 us of work.
void work(stress::Dice& dice) {
  for (const std::int64_t end = now_ns() + dice.between(100'000, 200'000); now_ns() < end;) {
  }
}

void play(State& s, Contender& lock, int me, int rounds) {
  stress::Dice dice{static_cast<std::uint64_t>(me) + 1};
  for (int turn = me; turn < rounds; turn += 2) {
    if (turn == 0) await([&] { return s.ready == 2; });
    if (turn > 0) await([&] { return s.turn >= turn; });  // who has just released must not take it again before the other has it
    lock.lock();
    const std::int64_t now = now_ns();
    if (turn > 0) s.took[turn] = static_cast<double>(now - s.released) / 1000;
    s.turn = turn + 1;
    work(dice);
    s.released = now_ns();
    lock.unlock();
  }
}

std::vector<double> measure(const Kind& kind, int rounds) {
  const stress::Shared<State> s;
  Children both;
  for (int me = 0; me < 2; ++me)
    both.add([&] {
      const auto lock = kind.make();
      lock->pairs(1);  // what is opened at the first use is not what is measured
      s->ready.fetch_add(1);
      play(*s, *lock, me, rounds);
    });
  both.join();
  return {s->took + 2, s->took + rounds};
}

}  // namespace

void hand_off(Bench& bench) {
  std::vector<Kind> kinds =
      peers({Peer::futex, Peer::robust, Peer::boost, Peer::flock, Peer::ofd, Peer::boost_file, Peer::begin}, bench.place / "hand-off");
  for (const auto& store : bench.stores) kinds.push_back(sherlock(*store, "hand-off", {.timeout = std::chrono::seconds{20}}));
  std::vector<std::string> missing;
  for (const Kind& kind : python_kinds(bench.programs, missing)) kinds.push_back(kind);
  for (const std::string& package : missing) bench.report.note("skipped: " + package + " is not installed");

  Python python{bench.programs};
  std::map<std::string, std::vector<double>> all, medians;
  const int turns = bench.choose(15, 7, 2);
  for (int turn = 0; turn < turns; ++turn) {
    bench.report.progress(fmt::format("turn {} of {}", turn + 1, turns));
    for (const Kind& kind : kinds) {
      const bool polls = kind.name == "SQLite BEGIN IMMEDIATE";  // milliseconds each
      if (!kind.make && turn % 3 != 0) continue;  // so do these: tens of them
      const std::string path = bench.place / ("hand-off." + kind.python);
      const std::vector<double> took = kind.make ? measure(kind, polls ? 30 : bench.choose(300, 150, 40))
                                       : python.ask(fmt::format("hand_off {} {} {}", kind.python, path, bench.choose(5, 4, 3)));
      all[kind.name].insert(all[kind.name].end(), took.begin(), took.end());
      medians[kind.name].push_back(median(took));
    }
  }
  for (const Promise& promise : kPromises) {
    if (!bench.store(promise.backend)) continue;
    const std::string ours = std::string{"sherlock "} + promise.backend;
    std::vector<double> ratios;
    for (std::size_t i = 0; i < medians[ours].size(); ++i) ratios.push_back(medians[ours][i] / medians[promise.of][i]);
    bench.report.add({fmt::format("hand-off, times {}", promise.of), ours, median(ratios), "x", Bound{promise.times}});
  }
  for (const Kind& kind : kinds) {
    bench.report.add({"hand-off, median", kind.name, median(all[kind.name]), "us"});
    bench.report.add({"hand-off, p99", kind.name, quantile(all[kind.name], 0.99), "us"});
  }
}

}  // namespace bench
