// SPDX-License-Identifier: MIT
// Leases of 5 to 20 ms, a fifth without; workers are stopped, resumed and killed. Where locks are files, others use flock(2) on the same file
// and know nothing of us. In a second run somebody removes the companion, which knows of the leases, again and again.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <vector>

#include "holds.hpp"
#include "store.hpp"
#include "stress.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 7, kForeigners = 2;

struct State {
  HoldLog log;
  std::atomic<Hold*> open[kWorkers];
  std::atomic<std::uint64_t> timeouts;
  std::atomic<bool> stop;
};

void one_hold(State& s, sherlock::BaseLock& lock, int worker, Dice& dice) {
  const bool lease = !lock.expire().is_infinite();
  const std::int64_t length = lease ? lock.expire().ns().count() : 0;
  const std::int64_t asked = now_ns();
  // Long: whoever is killed while it has an inotify descriptor dies late, for the kernel waits for all who use a file just now before it goes.
  if (!lock.try_acquire_for(10s)) {
    s.timeouts.fetch_add(1);
    return;
  }
  std::uint64_t fence = 0;
  try {
    fence = lock.fence();
  } catch (const sherlock::LockNotHeldException&) {  // over before we could look
    lock.unlock();
    return;
  }
  Hold* const hold = s.log.begin(lease ? Hold::lease : Hold::never, worker, now_ns(), lease ? asked + length : INT64_MAX, fence, &s.open[worker]);
  if (!hold) return lock.unlock();
  if (!lock.held()) {  // stopped between its grant and the line above, until its lease was over: it never was inside by its own reckoning
    hold->told = true;
    hold->end = hold->start.load();
    lock.unlock();
    s.open[worker] = nullptr;
    return;
  }
  if (dice.one_in(2)) nap(dice.time(0, lease ? length / 1000 * 3 / 2 : 3000));
  if (dice.one_in(4)) {
    const std::int64_t before = now_ns();
    hold->in_doubt = before;
    if (!lock.renew()) {
      hold->told = true;
      hold->answered = now_ns();
      hold->end = before;
    } else {
      hold->in_doubt = 0;
      if (lease) {
        hold->deadline = before + length;
        if (dice.one_in(2)) nap(dice.time(0, length / 1000));
      }
    }
  }
  if (hold->end == 0) {
    hold->end = now_ns();
    try {
      lock.release();
    } catch (const sherlock::LockLostException&) {
      hold->told = true;
    }
    hold->answered = now_ns();
  }
  s.open[worker] = nullptr;
}

void work(State& s, const Store& store, int worker, std::uint64_t seed) {
  Dice dice{seed};
  std::vector<std::unique_ptr<sherlock::BaseLock>> locks;
  using sherlock::Duration;
  for (const Duration expire : {Duration{5ms}, Duration{9ms}, Duration{14ms}, Duration{20ms}, sherlock::never})
    locks.push_back(store.lock("lease", {.expire = expire}));
  while (!s.stop) {
    one_hold(s, *locks[static_cast<std::size_t>(dice.between(0, 4))], worker, dice);
    if (dice.one_in(3)) nap(dice.time(0, 1000));
  }
}

// Every other one with a descriptor that it keeps.
void foreign(State& s, const std::string& path, int worker, std::uint64_t seed) {
  Dice dice{seed};
  int fd = -1;
  while (!s.stop) {
    if (fd < 0) fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (flock(fd, LOCK_EX | (dice.one_in(2) ? LOCK_NB : 0)) == 0) {
      Hold* const hold = s.log.begin(Hold::foreign, worker, now_ns(), INT64_MAX, 0);
      nap(dice.time(100, 2000));
      if (hold) hold->end = now_ns();
      flock(fd, LOCK_UN);
    }
    if (worker % 2 == 0) {
      close(fd);
      fd = -1;
    }
    nap(dice.time(2000, 12000));
  }
}

void leases(const Run& run, Removal removal, Report& report) {
  const Store store{run.backend};
  const Shared<State> s;
  Dice dice{run.seed};
  pid_t pids[kWorkers];
  const auto start = [&](int i) {
    const auto seed = static_cast<std::uint64_t>(dice.between(0, INT64_MAX));
    pids[i] = spawn([&, seed] { work(*s, store, i, seed); });
  };
  for (int i = 0; i < kWorkers; ++i) start(i);
  std::vector<pid_t> foreigners;
  for (int i = 0; i < kForeigners && store.is_files(); ++i) {
    const auto seed = static_cast<std::uint64_t>(dice.between(0, INT64_MAX));
    foreigners.push_back(spawn([&, path = store.path("lease"), seed] { foreign(*s, path, kWorkers + i, seed); }));
  }

  struct Stopped {
    int worker;
    std::int64_t until;
  };
  std::vector<Stopped> stopped;
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 1e9);
  std::uint64_t kills = 0, stops = 0, removals = 0;
  std::int64_t next_removal = removal == Removal::none ? INT64_MAX : 0;
  const auto is_stopped = [&](int worker) {
    for (const Stopped& one : stopped)
      if (one.worker == worker) return true;
    return false;
  };
  while (now_ns() < end) {
    nap(dice.time(500, 4000));
    std::erase_if(stopped, [&](const Stopped& one) {
      if (now_ns() < one.until) return false;
      kill(pids[one.worker], SIGCONT);
      return true;
    });
    if (now_ns() >= next_removal) {
      removals += unlink(store.companion().c_str()) == 0;
      next_removal = now_ns() + dice.between(10'000'000, 100'000'000);
    }
    const int i = static_cast<int>(dice.between(0, kWorkers - 1));
    if (dice.one_in(4)) {
      const std::int64_t when = now_ns();
      kill(pids[i], SIGKILL);
      waitpid(pids[i], nullptr, 0);
      std::erase_if(stopped, [&](const Stopped& one) { return one.worker == i; });
      if (Hold* hold = s->open[i]) {
        hold->killed = true;
        if (hold->end == 0) hold->end = hold->in_doubt ? hold->in_doubt.load() : when;
      }
      s->open[i] = nullptr;
      ++kills;
      start(i);
    } else if (!is_stopped(i)) {
      kill(pids[i], SIGSTOP);
      stopped.push_back({i, now_ns() + dice.between(0, 30'000'000)});
      ++stops;
    }
  }
  s->stop = true;
  std::uint64_t failed = 0;
  for (const Stopped& one : stopped) kill(pids[one.worker], SIGCONT);
  failed += failed_of(pids) + failed_of(foreigners);

  const Verdict v = judge(s->log, removal);
  report.count("acquisitions", v.holds);
  report.count("leases", v.leases);
  if (store.is_files()) report.count("foreign holds", v.foreign);
  report.count("kills", kills);
  report.count("stops", stops);
  if (removal != Removal::none) report.count("removals", removals);
  report.count("overlaps after a deadline or told", v.late_overlaps);
  if (removal != Removal::none) report.count("short overlaps untold", v.short_untold);
  report.broken("overlaps", v.overlaps);
  report.broken("losses untold", v.untold);
  report.broken("false losses", v.false_losses);
  report.broken("fences back", v.fences_back);
  report.broken("timeouts", s->timeouts);
  report.broken("failed workers", failed);
  report.broken("idle", v.leases == 0);
}

}  // namespace

void lease_run(const Run& run, Report& report) { leases(run, Removal::none, report); }
void lease_removal_run(const Run& run, Report& report) {
  leases(run, run.backend == "file" ? Removal::some : Removal::of_everything, report);
}

}  // namespace stress
