// SPDX-License-Identifier: MIT
// Two processes hand one lock to and fro: from just before the release in one to the return of lock() in the other, which was asleep.
#include <fmt/core.h>

#include <atomic>

#include "bench.hpp"

namespace bench {
namespace {

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
  std::vector<Kind> kinds = anchors(bench.store, For::waiting, "hand-off");
  kinds.push_back(sherlock(bench.store, "hand-off", {.timeout = std::chrono::seconds{20}}));
  std::vector<std::vector<double>> all(kinds.size()), medians(kinds.size()), ratios(kinds.size());
  for (int repetition = 0; repetition < bench.choose(15, 2); ++repetition) {
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      const std::vector<double> took = measure(kinds[i], bench.choose(300, 40));
      all[i].insert(all[i].end(), took.begin(), took.end());
      medians[i].push_back(median(took));
    }
    for (std::size_t i = 0; i < kinds.size(); ++i) ratios[i].push_back(medians[i].back() / medians[0].back());
  }
  for (std::size_t i = 1; i < kinds.size(); ++i) {
    const bool ours = i + 1 == kinds.size();
    bench.report.row(fmt::format("{}, times {}", kinds[i].name, kinds[0].name), median(ratios[i]), "x", ours ? bench.bounds.hand_off : std::nullopt);
  }
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    bench.report.row(kinds[i].name + ", median", median(all[i]), "us");
    bench.report.row(kinds[i].name + ", 99 % within", quantile(all[i], 0.99), "us");
  }
}

}  // namespace bench
