// SPDX-License-Identifier: MIT
// What holds the lock is removed, moved and cleaned away, 10 to 100 times a second.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <filesystem>

#include "holds.hpp"
#include "store.hpp"
#include "stress.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr int kWorkers = 6;

struct State {
  HoldLog log;
  std::atomic<std::uint64_t> timeouts, refused, losses, let_in, met;
  std::atomic<bool> stop;
};

// Until all workers are here, or it takes too long.
void meet(State& s) {
  const std::uint64_t here = s.met.fetch_add(1) + 1, all = (here + kWorkers - 1) / kWorkers * kWorkers;
  for (const std::int64_t give_up = now_ns() + 5'000'000'000; s.met < all && now_ns() < give_up;) nap(100us);
}

// One removal at a time, and nobody inside: who comes next keeps out those who lock the file at its path, whatever he had open before.
void hold_in_peace(State& s, const Store& store, sherlock::BaseLock& lock, int worker) {
  const auto hold = [&](auto inside) {
    if (!lock.try_acquire_for(10s)) return static_cast<void>(s.timeouts.fetch_add(1));
    inside();
    lock.unlock();
  };
  const std::string path = store.path("x");
  for (int round = 0; round < 5; ++round) {
    hold([] {});
    meet(s);
    if (worker == 0) unlink(path.c_str());
    meet(s);
    hold([&] {
      const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) s.let_in.fetch_add(1);
      close(fd);
    });
    meet(s);
  }
}

void work(State& s, const Store& store, int worker, std::uint64_t seed) {
  Dice dice{seed};
  const auto lock = store.lock("x");
  while (!s.stop) {
    try {
      if (!lock->try_acquire_for(10s)) {
        s.timeouts.fetch_add(1);
        continue;
      }
    } catch (const sherlock::BackendException& e) {
      if (s.refused.fetch_add(1) == 0) std::fprintf(stderr, "%s\n", e.what());
      continue;
    }
    Hold* const hold = s.log.begin(Hold::never, worker, now_ns(), INT64_MAX, lock->fence());
    if (!hold) return;
    if (dice.one_in(2)) nap(dice.time(0, 3000));
    if (dice.one_in(4)) nap(dice.time(10000, 25000));
    hold->end = now_ns();
    try {
      lock->release();
    } catch (const sherlock::LockLostException&) {
      hold->told = true;
      s.losses.fetch_add(1);
    }
    hold->answered = now_ns();
  }
  if (store.is_files()) hold_in_peace(s, store, *lock, worker);
}

void flock_cleaner(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(path.c_str());
  close(fd);
}

void clean(const Store& store) {
  try {
    store.clean();
  } catch (const sherlock::BackendException&) {  // the store is just not there
  }
}

// One of the files that make a lock, or the directory of all.
void disturb(const Store& store, const std::string& path, Dice& dice, const std::string& aside) {
  std::error_code ignored;
  switch (dice.between(0, store.is_files() ? 9 : 7)) {
    case 0:
    case 1: unlink(path.c_str()); break;
    case 2:
    case 3: rename(path.c_str(), aside.c_str()); break;
    case 4:
    case 5: store.is_files() ? flock_cleaner(path) : clean(store); break;
    case 6: clean(store); break;
    case 7: unlink(store.companion().c_str()); break;
    case 8: rename(store.place().c_str(), aside.c_str()); break;
    default: fs::remove_all(store.place(), ignored);
  }
}

std::uint64_t disturb_all_the_time(State& s, const Store& store, Dice& dice, const Run& run) {
  const std::string path = store.path("x");
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 1e9);
  std::uint64_t removals = 0;
  while (now_ns() < end) {
    nap(dice.time(10000, 100000));
    ++removals;
    disturb(store, path, dice, fmt::format("{}.{}", store.is_files() ? store.place() : path, removals));
  }
  s.stop = true;
  return removals;
}

}  // namespace

void removal_run(const Run& run, Report& report) {
  const Store store{run.backend};
  const Shared<State> s;
  Dice dice{run.seed};
  pid_t pids[kWorkers];
  for (int i = 0; i < kWorkers; ++i) {
    const auto seed = static_cast<std::uint64_t>(dice.between(0, INT64_MAX));
    pids[i] = spawn([&, i, seed] { work(*s, store, i, seed); });
  }
  const std::uint64_t removals = disturb_all_the_time(*s, store, dice, run);
  std::uint64_t failed = 0;
  failed += failed_of(pids);

  const Verdict v = judge(s->log, Removal::of_everything);
  report.count("acquisitions", v.holds);
  report.count("removals", removals);
  report.count("losses told", s->losses);
  report.count("overlaps told", v.late_overlaps);
  report.count("short overlaps untold", v.short_untold);
  report.count("refusals", s->refused);
  report.broken("overlaps untold", v.overlaps);
  report.broken("fences back", v.fences_back);
  report.broken("others let in afterwards", s->let_in);
  report.broken("timeouts", s->timeouts);
  report.broken("failed workers", failed);
  report.broken("idle", v.holds < removals);
}

}  // namespace stress
