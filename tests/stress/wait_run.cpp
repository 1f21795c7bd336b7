// SPDX-License-Identifier: MIT
// 2, 8 and 64 processes want one lock all the time, with empty holds and with holds of 1 ms: is anybody left behind, and what does the waiting cost?
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <vector>

#include "detector.hpp"
#include "store.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr int kMost = 64;
constexpr std::array kCrowds{2, 8, kMost};
constexpr nanoseconds kSlow = 4ms;  // for a hold of 1 ms and the way to the next one: a wake that is lost costs more, each time

struct State {
  Detector lock;
  std::atomic<std::uint64_t> grants[kMost], switches, busy_us;
  std::atomic<std::int64_t> longest;
  std::atomic<int> ready;
  std::atomic<bool> go, stop;
};

struct Usage {
  std::uint64_t switches, busy_us;
  static Usage now() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const auto micros = [](const timeval& t) { return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec); };
    return {static_cast<std::uint64_t>(usage.ru_nvcsw), micros(usage.ru_utime) + micros(usage.ru_stime)};
  }
};

void work(State& s, const Store& store, int worker, nanoseconds hold) {
  const auto lock = store.lock("w", {.timeout = 20s});
  ++s.ready;
  while (!s.go) nap(1ms);
  const Usage before = Usage::now();
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
  const Usage after = Usage::now();
  s.switches.fetch_add(after.switches - before.switches);
  s.busy_us.fetch_add(after.busy_us - before.busy_us);
}

struct Figures {
  std::uint64_t acquisitions = 0, overlaps = 0, fences_back = 0, failed = 0, starved = 0, too_long = 0, slow = 0;
  std::int64_t longest = 0;
  double unfair = 0, switches = 0, busy = 0;  // of 8, and of all
};

// How far from equal shares, in percent: 100 - Jain's index. 0: all had the same.
double unfairness(const std::vector<std::uint64_t>& shares) {
  double sum = 0, squares = 0;
  for (const std::uint64_t share : shares) sum += static_cast<double>(share), squares += static_cast<double>(share) * static_cast<double>(share);
  return squares == 0 ? 0 : 100 * (1 - sum * sum / (static_cast<double>(shares.size()) * squares));
}

void one(const Run& run, int crowd, nanoseconds hold, nanoseconds time, Figures& f) {
  const Store store{run.backend};
  const Shared<State> s;
  std::vector<pid_t> pids;
  for (int i = 0; i < crowd; ++i) pids.push_back(spawn([&, i] { work(*s, store, i, hold); }));
  for (const std::int64_t end = now_ns() + 20'000'000'000; s->ready < crowd && now_ns() < end;) nap(1ms);
  s->go = true;
  nap(time);
  std::vector<std::uint64_t> shares;
  for (int i = 0; i < crowd; ++i) shares.push_back(s->grants[i]);
  s->stop = true;
  f.failed += failed_of(pids);

  std::uint64_t total = 0;
  for (const std::uint64_t share : shares) total += share;
  // With holds that give waiting an order nobody may have had few. With empty ones all are busy all the time, and some may not have had the processor.
  const std::uint64_t share = total / shares.size(), least = *std::min_element(shares.begin(), shares.end());
  f.starved += share >= 4 && (hold.count() != 0 ? least * 10 < share : least == 0 && time > 5s);
  f.too_long += s->longest > 5'000'000'000;
  f.longest = std::max(f.longest, s->longest.load());
  f.acquisitions += total;
  f.overlaps += s->lock.overlaps + s->lock.torn;
  f.fences_back += s->lock.fences_back;
  if (hold.count() == 0) return;
  f.slow += total != 0 && time / static_cast<std::int64_t>(total) > kSlow;
  f.unfair = std::max(f.unfair, unfairness(shares));
  if (crowd != kMost) return;
  f.switches = total ? static_cast<double>(s->switches) / static_cast<double>(total) : 0;
  f.busy = static_cast<double>(s->busy_us) * 100'000 / static_cast<double>(time.count());
}

}  // namespace

void wait_run(const Run& run, Report& report) {
  Figures f;
  const nanoseconds time{static_cast<std::int64_t>(run.seconds * 1e9 / (2 * kCrowds.size()))};
  for (const int crowd : kCrowds)
    for (const nanoseconds hold : {0ns, nanoseconds{1ms}})
      for (int tries = 0; tries < 3; ++tries) {  // a busy machine is slow now and then
        const Figures before = f;
        one(run, crowd, hold, time, f);
        if (f.slow == before.slow && f.starved == before.starved && f.too_long == before.too_long) break;
        if (tries < 2) f.slow = before.slow, f.starved = before.starved, f.too_long = before.too_long;
      }
  report.count("acquisitions", f.acquisitions);
  report.broken("overlaps", f.overlaps);
  report.broken("fences back", f.fences_back);
  report.broken("starved", f.starved);
  report.broken("waits over 5 s", f.too_long);
  report.broken("slow hand-overs", f.slow);
  report.broken("failed workers", f.failed);
  report.worst("longest wait", nanoseconds{f.longest});
  report.worst("unequal shares", f.unfair, "%");
  report.worst("switches of 64 for each hold", f.switches, "of the processor");
  report.worst("work of 64 who wait", f.busy, "% of a processor");
}

}  // namespace stress
