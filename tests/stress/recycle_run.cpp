// SPDX-License-Identifier: MIT
// Three times as many names as the store has room for at first: entries are given from name to name under load, while their users are killed. A name's
// fences must not go back when it gets another entry.
#include <fmt/core.h>

#include <set>
#include <vector>

#include "detector.hpp"
#include "store.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 6, kNames = 6000;
constexpr int kWanted = 8, kKept = 200;  // the first ones are fought for, and some objects kept while their entries go to others
constexpr std::uint64_t kLeap = 1000;    // a fence this much larger than the last is of a new entry

struct State {
  Detector name[kNames];
  std::atomic<std::uint64_t> timeouts, losses, leaps;
  std::atomic<bool> stop;
};

std::string name_of(int i) { return fmt::format("{}", i); }

void hold(State& s, sherlock::BaseLock& lock, int name, int worker, std::uint64_t life, nanoseconds time) {
  {
    const std::uint64_t fence = lock.fence(), before = s.name[name].fence;
    if (before != 0 && fence > before + kLeap) s.leaps.fetch_add(1);
    const Inside inside{s.name[name], worker, life, fence};
    if (time.count() != 0) nap(time);
  }
  try {
    lock.release();
  } catch (const sherlock::LockLostException&) {
    s.losses.fetch_add(1);
  }
}

void work(State& s, const Store& store, int worker, std::uint64_t life, std::uint64_t seed) {
  Dice dice{seed};
  std::vector<std::unique_ptr<sherlock::BaseLock>> kept(kNames);
  while (!s.stop) {
    const int i = static_cast<int>(dice.between(0, dice.one_in(4) ? kWanted - 1 : kNames - 1));
    auto& lock = kept[static_cast<std::size_t>(i)];
    if (!lock) lock = store.lock(name_of(i), {.timeout = 10s});
    if (dice.one_in(2)) {
      for (int n = 0; n < 20 && lock->try_acquire(); ++n) hold(s, *lock, i, worker, life, 0ns);
    } else if (lock->try_acquire_for(10s)) {
      hold(s, *lock, i, worker, life, dice.one_in(3) ? dice.time(0, 300) : 0us);
    } else {
      s.timeouts.fetch_add(1);
    }
    if (i >= kKept || dice.one_in(3)) lock.reset();
  }
}

// Names that the store lists twice, or that nobody ever used.
std::uint64_t wrongly_listed(const Store& store) {
  std::set<std::string> right;
  for (int i = 0; i < kNames; ++i) right.insert(name_of(i));
  std::uint64_t wrong = 0;
  for (const sherlock::LockInfo& info : store.list()) wrong += right.erase(info.name) == 0;
  return wrong;
}

}  // namespace

void recycle_run(const Run& run, Report& report) {
  const Store store{run.backend};
  const Shared<State> s;
  Dice dice{run.seed};
  struct Life {
    pid_t pid;
    std::uint64_t number;
  } workers[kWorkers];
  std::uint64_t lives = 0, kills = 0, failed = 0;
  const auto start = [&](int i) {
    const auto seed = static_cast<std::uint64_t>(dice.between(0, INT64_MAX));
    const std::uint64_t life = ++lives;
    workers[i] = {spawn([&] { work(*s, store, i, life, seed); }), life};
  };
  for (int i = 0; i < kWorkers; ++i) start(i);
  // Rows of a database stay for an hour, however many there are.
  const auto seen_enough = [&] { return run.backend == "sqlite" || s->leaps != 0; };
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 1e9), at_last = end + 20'000'000'000;
  while (now_ns() < (seen_enough() ? end : at_last)) {
    nap(dice.time(5000, 10000));
    const int i = static_cast<int>(dice.between(0, kWorkers - 1));
    for (auto& d : s->name) mark_killed(d, i, workers[i].number);
    kill(workers[i].pid, SIGKILL);
    waitpid(workers[i].pid, nullptr, 0);
    ++kills;
    start(i);
  }
  s->stop = true;
  std::vector<pid_t> pids;
  for (const Life& worker : workers) pids.push_back(worker.pid);
  failed += failed_of(pids);

  std::uint64_t grants = 0, overlaps = 0, torn = 0, back = 0;
  for (const auto& d : s->name) grants += d.grants, overlaps += d.overlaps, torn += d.torn, back += d.fences_back;
  report.count("acquisitions", grants);
  report.count("kills", kills);
  report.count("new entries for known names", s->leaps);
  report.broken("overlaps", overlaps);
  report.broken("torn counters", torn);
  report.broken("fences back", back);
  report.broken("timeouts", s->timeouts);
  report.broken("losses", s->losses);
  report.broken("wrongly listed", wrongly_listed(store));
  report.broken("failed workers", failed);
  report.broken("idle", grants < kills || !seen_enough());
}

}  // namespace stress
