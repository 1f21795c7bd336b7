// SPDX-License-Identifier: MIT
// 16 processes want one lock all the time and hold it for a millisecond: does anybody wait longer than its turn takes?
#include <fmt/core.h>

#include <algorithm>
#include <atomic>

#include "bench.hpp"

namespace bench {
namespace {

constexpr int kWaiters = 16;
constexpr std::size_t kMost = 1 << 20;

struct State {
  std::atomic<int> ready;
  std::atomic<bool> go, stop;
  std::atomic<std::size_t> used;
  std::atomic<std::uint64_t> turns[kWaiters];
  float waited[kMost];  // microseconds
};

void take_turns(State& s, const Kind& kind, int me) {
  const auto lock = kind.make();
  lock->pairs(1);
  s.ready.fetch_add(1);
  await([&] { return s.go.load(); });
  while (!s.stop) {
    const std::int64_t asked = now_ns();
    lock->lock();
    const std::int64_t waited = now_ns() - asked;
    stress::nap(stress::milliseconds{1});
    lock->unlock();
    if (const std::size_t i = s.used.fetch_add(1); i < kMost) s.waited[i] = static_cast<float>(waited) / 1000;
    s.turns[me].fetch_add(1);
  }
}

struct Outcome {
  std::vector<double> waits;
  double most_to_least;
};

Outcome measure(const Kind& kind, double seconds) {
  const stress::Shared<State> s;
  Children all;
  for (int i = 0; i < kWaiters; ++i) all.add([&, i] { take_turns(*s, kind, i); });
  await([&] { return s->ready == kWaiters; });
  s->go = true;
  stress::nap(stress::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)});
  std::vector<std::uint64_t> turns;
  for (const auto& t : s->turns) turns.push_back(t);
  s->stop = true;
  all.join();
  const auto [least, most] = std::minmax_element(turns.begin(), turns.end());
  const double most_to_least = static_cast<double>(*most) / static_cast<double>(std::max<std::uint64_t>(*least, 1));
  return {{s->waited, s->waited + std::min(s->used.load(), kMost)}, most_to_least};
}

void tell(Bench& bench, const std::string& who, const Outcome& o, bool bounded) {
  double mean = 0;
  for (const double wait : o.waits) mean += wait / static_cast<double>(o.waits.size());
  const auto bound = [&](double b) { return bounded ? std::optional{b} : std::nullopt; };
  bench.report.row(who + ": 99.9 % of waits within, times the mean", quantile(o.waits, 0.999) / mean, "x", bound(5));
  bench.report.row(who + ": the longest wait (5 times the mean and 50 ms)", quantile(o.waits, 1) / 1000, "ms", bound(5 * mean / 1000 + 50));
  bench.report.row(fmt::format("{}: turns of the luckiest, times the unluckiest's", who), o.most_to_least, "x");
  bench.report.row(fmt::format("{}: the mean wait of {}", who, o.waits.size()), mean / 1000, "ms");
}

}  // namespace

void fairness(Bench& bench) {
  const Kind ours = sherlock(bench.store, "fairness", {.timeout = std::chrono::seconds{60}});
  const Kind theirs = anchors(bench.store, For::cost, "fairness").front();
  tell(bench, ours.name, measure(ours, bench.smoke ? 0.3 : 30), true);
  tell(bench, theirs.name, measure(theirs, bench.smoke ? 0.1 : 5), false);
}

}  // namespace bench
