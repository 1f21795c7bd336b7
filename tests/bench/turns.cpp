// SPDX-License-Identifier: MIT
// Some processes want one lock all the time and hold it for a millisecond: does anybody wait longer than its turn takes?
#include <fmt/core.h>

#include <algorithm>
#include <atomic>

#include "bench.hpp"

namespace bench {
namespace {

constexpr int kMostWaiters = 16;
constexpr std::size_t kMost = 1 << 17;

struct State {
  std::atomic<int> ready;
  std::atomic<bool> go, stop;
  std::atomic<std::size_t> used;
  std::atomic<std::uint64_t> turns[kMostWaiters];
  float waited[kMost];  // microseconds
};

void take_turns(State& s, const Kind& kind, int me) {
  const auto lock = kind.make();
  lock->pairs(1);
  s.ready.fetch_add(1);
  await([&] { return s.go.load(); }, stress::milliseconds{5});
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
  std::optional<double> most_to_least;
};

Outcome measure(const Kind& kind, int waiters, double seconds) {
  const stress::Shared<State> s;
  Children all;
  for (int i = 0; i < waiters; ++i) all.add([&, i] { take_turns(*s, kind, i); });
  await([&] { return s->ready == waiters; });
  s->go = true;
  stress::nap(stress::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)});
  std::vector<std::uint64_t> turns;
  for (int i = 0; i < waiters; ++i) turns.push_back(s->turns[i]);
  s->stop = true;
  all.join();
  const auto [least, most] = std::minmax_element(turns.begin(), turns.end());
  const auto ratio = *least == 0 ? std::nullopt : std::optional{static_cast<double>(*most) / static_cast<double>(*least)};
  return {{s->waited, s->waited + std::min(s->used.load(), kMost)}, ratio};
}

struct Promise {
  bool waits, worst;             // 99.9 % within 5 times the mean; the longest within that and 50 ms
  std::optional<double> most_to_least;
};

void tell(Bench& bench, const std::string& who, int waiters, const Outcome& o, const Promise& promise) {
  double mean = 0;
  for (const double wait : o.waits) mean += wait / static_cast<double>(o.waits.size());
  const auto add = [&](const char* what, std::optional<double> value, const char* unit, std::optional<double> bound = {}) {
    bench.report.add({what, who, value, unit, bound ? std::optional{Bound{*bound}} : std::nullopt, waiters, "processes"});
  };
  add("holds of 1 ms: 99.9 % of waits within, times the mean", quantile(o.waits, 0.999) / mean, "x", promise.waits ? std::optional{5.0} : std::nullopt);
  add("holds of 1 ms: turns of the luckiest, times the unluckiest's", o.most_to_least, "x", promise.most_to_least);
  add("holds of 1 ms: the longest wait", quantile(o.waits, 1) / 1000, "ms", promise.worst ? std::optional{5 * mean / 1000 + 50} : std::nullopt);
  add("holds of 1 ms: the mean wait", mean / 1000, "ms");
}

}  // namespace

void turns(Bench& bench) {
  const double ours = bench.choose(30.0, 3.0, 0.2), theirs = bench.choose(4.0, 2.0, 0.1);
  const auto go = [&](const Kind& kind, int waiters, double seconds, const Promise& promise) {
    bench.report.progress(fmt::format("{} processes, {}, {:.2g} s", waiters, kind.name, seconds));
    tell(bench, kind.name, waiters, measure(kind, waiters, seconds), promise);
  };
  const auto of = [&](const stress::Store* store, int waiters) {
    return sherlock(*store, fmt::format("turns {}", waiters), {.timeout = std::chrono::seconds{60}});
  };
  for (const Kind& kind : peers({Peer::robust, Peer::boost, Peer::flock, Peer::begin}, bench.place / "turns")) go(kind, 16, theirs, {});
  if (const auto* store = bench.store("file")) go(of(store, 16), 16, ours, {.waits = true, .worst = true, .most_to_least = {}});
  if (const auto* store = bench.store("shm")) go(of(store, 16), 16, ours / 3, {});
  if (const auto* store = bench.store("sqlite"))
    for (const int waiters : {2, 16}) go(of(store, waiters), waiters, ours, {.waits = true, .worst = false, .most_to_least = 2.0});
}

}  // namespace bench
