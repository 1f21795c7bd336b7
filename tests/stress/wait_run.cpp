// SPDX-License-Identifier: MIT
// 64 processes wait for one lock, with empty holds and with holds of 1 ms: is anybody left behind?
#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <vector>

#include "detector.hpp"
#include "store.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr int kWaiters = 64;

struct State {
  Detector lock;
  std::atomic<std::uint64_t> grants[kWaiters], switches;
  std::atomic<std::int64_t> longest;
  std::atomic<bool> go, stop;
};

std::uint64_t switches() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_nvcsw);
}

void work(State& s, const Store& store, int worker, nanoseconds hold) {
  const auto lock = store.lock("w", {.timeout = 20s});
  while (!s.go) nap(1ms);
  const std::uint64_t before = switches();
  while (!s.stop) {
    const std::int64_t asked = now_ns();
    lock->acquire();
    const std::int64_t waited = now_ns() - asked;
    {
      const Inside inside{s.lock, worker, 1, lock->fence()};
      std::int64_t longest = s.longest;
      while (longest < waited && !s.longest.compare_exchange_weak(longest, waited)) {
      }
      if (hold.count() != 0) nap(hold);
    }
    lock->release();
    s.grants[worker].fetch_add(1);
  }
  s.switches.fetch_add(switches() - before);
}

int one(const Run& run, nanoseconds hold) {
  const Store store{run.backend};
  const Shared<State> s;
  std::vector<pid_t> pids;
  for (int i = 0; i < kWaiters; ++i) pids.push_back(spawn([&, i] { work(*s, store, i, hold); }));
  nap(300ms);
  s->go = true;
  nap(nanoseconds{static_cast<std::int64_t>(run.seconds / 2 * 1e9)});
  const auto counted = [&] {
    std::vector<std::uint64_t> counts;
    for (const auto& grants : s->grants) counts.push_back(grants);
    return counts;
  }();
  s->stop = true;
  std::uint64_t failed = 0, total = 0;
  for (const pid_t pid : pids) failed += !reap(pid);
  for (const std::uint64_t count : counted) total += count;
  const auto [least, most] = std::minmax_element(counted.begin(), counted.end());
  fmt::print("{}holds of {} ms: {} grants, max/min {}/{}, longest wait {:.0f} ms, {:.1f} switches a grant, overlaps {}, fences back {}, failed {}",
             hold.count() != 0 ? "; " : "", hold.count() / 1000000, total, *most, *least, static_cast<double>(s->longest) / 1e6,
             total ? static_cast<double>(s->switches) / static_cast<double>(total) : 0.0, s->lock.overlaps.load(), s->lock.fences_back.load(), failed);
  // Where everybody could have had several turns, nobody may have had none; with holds that give waiting an order, not even few.
  const std::uint64_t share = total / kWaiters;
  const bool starved = share >= 4 && (*least == 0 || (hold.count() != 0 && *least * 10 < share));
  return starved || s->lock.overlaps || s->lock.fences_back || failed || s->longest > 5'000'000'000;
}

}  // namespace

int wait_run(const Run& run) {
  const int empty = one(run, 0ns);
  return one(run, 1ms) + empty;
}

}  // namespace stress
