// SPDX-License-Identifier: MIT
// lock() and unlock() of a free lock, again and again: what the lock itself costs.
#include <fmt/core.h>

#include "bench.hpp"

namespace bench {
namespace {

using namespace std::chrono_literals;

double ns_a_pair(Contender& lock, long n) {
  const std::int64_t begin = now_ns();
  lock.pairs(n);
  return static_cast<double>(now_ns() - begin) / static_cast<double>(n);
}

}  // namespace

void pair(Bench& bench) {
  std::vector<Kind> kinds = anchors(bench.store, For::cost, "pair");
  const std::size_t ours = kinds.size();
  kinds.push_back(sherlock(bench.store, "pair"));
  kinds.push_back(sherlock(bench.store, "leased pair", {.expire = 60s}));

  std::vector<std::unique_ptr<Contender>> locks;
  std::vector<long> enough;  // pairs for so many milliseconds
  for (const Kind& kind : kinds) {
    locks.push_back(kind.make());
    ns_a_pair(*locks.back(), 100);
    enough.push_back(std::max(1L, static_cast<long>(bench.choose(20, 1) * 1e6 / ns_a_pair(*locks.back(), bench.choose(2000, 50)))));
  }
  std::vector<std::vector<double>> times(kinds.size()), ratios(kinds.size());
  for (int repetition = 0; repetition < bench.choose(25, 3); ++repetition) {
    for (std::size_t i = 0; i < kinds.size(); ++i) times[i].push_back(ns_a_pair(*locks[i], enough[i]));
    for (std::size_t i = 0; i < kinds.size(); ++i) ratios[i].push_back(times[i].back() / times[0].back());
  }
  for (std::size_t i = 1; i < kinds.size(); ++i) {
    const std::optional<double> bound = i == ours ? bench.bounds.pair : i > ours ? bench.bounds.pair_with_lease : std::nullopt;
    bench.report.row(fmt::format("{}, times {}", kinds[i].name, kinds[0].name), median(ratios[i]), "x", bound);
  }
  for (std::size_t i = 0; i < kinds.size(); ++i) bench.report.row(kinds[i].name, median(times[i]), "ns");
}

}  // namespace bench
