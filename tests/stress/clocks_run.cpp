// SPDX-License-Identifier: MIT
// Clocks that do what clocks do: the wall clock is set an hour forward and back, again and again, the machine is suspended for hours, a process lives in
// another time namespace. Leases end when their time is over and not before, timeouts are kept, and fences never go back.
#include <fmt/core.h>
#include <sys/stat.h>

#include <sherlock/clock.hpp>

#include <vector>

#include "holds.hpp"
#include "own_mounts.hpp"
#include "posix/clock.hpp"
#include "store.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 6;
constexpr std::int64_t kHour = 3'600'000'000'000;

// Shared by all processes of a run, as the kernel's clocks are.
struct World {
  HoldLog log;
  std::atomic<std::int64_t> wall_set_by, suspended_for;
  std::atomic<std::uint64_t> timeouts, early, failed_renewals;
  std::atomic<std::int64_t> latest;
  std::atomic<bool> stop;
};
World* world = nullptr;

// The kernel's, as they would be if somebody had set and suspended the machine.
int set_clock_of_the_kernel(clockid_t id, timespec* t) {
  const int result = clock_gettime(id, t);
  std::int64_t now = std::int64_t{t->tv_sec} * 1'000'000'000 + t->tv_nsec;
  if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) now += world->wall_set_by + world->suspended_for;
  if (id == CLOCK_BOOTTIME) now += world->suspended_for;
  *t = {static_cast<time_t>(now / 1'000'000'000), static_cast<long>(now % 1'000'000'000)};
  return result;
}

class SetClock final : public sherlock::Clock {
 public:
  nanoseconds monotonic() const override { return sherlock::posix::read_clock(CLOCK_MONOTONIC); }
  nanoseconds boottime() const override { return sherlock::posix::read_clock(CLOCK_BOOTTIME); }
  std::chrono::system_clock::time_point wall() const override {
    return std::chrono::system_clock::time_point{std::chrono::duration_cast<std::chrono::system_clock::duration>(sherlock::posix::read_clock(CLOCK_REALTIME))};
  }
  void sleep_until(nanoseconds deadline, std::stop_token stop) override { sherlock::real_clock().sleep_until(deadline, std::move(stop)); }
};

// In a process of its own, before it has any lock. With `replaced` through the library's Clock, too; without, its short ways read the kernel's.
void live_by_set_clocks(bool replaced) {
  static SetClock clock;
  sherlock::posix::detail::read_clock = set_clock_of_the_kernel;
  if (replaced) sherlock::set_clock(&clock);
}

// ---------------------------------------------------------------------------------------------- the wall clock is set

void hold_leases(const Store& store, int worker, std::uint64_t seed) {
  live_by_set_clocks(worker % 2 == 0);
  Dice dice{seed};
  const auto lease = store.lock("x", {.expire = 40ms}), for_ever = store.lock("x"), busy = store.lock("busy", {.retry_interval = 1ms});
  while (!world->stop) {
    if (dice.one_in(6)) {
      // Held by the supervisor, all the time.
      const auto timeout = dice.time(1000, 30000);
      const std::int64_t asked = now_ns();
      if (busy->try_acquire_for(timeout)) world->failed_renewals.fetch_add(1);
      const std::int64_t late = now_ns() - asked - nanoseconds{timeout}.count();
      world->early.fetch_add(late < 0);
      for (std::int64_t latest = world->latest; latest < late && !world->latest.compare_exchange_weak(latest, late);) {
      }
      continue;
    }
    sherlock::BaseLock& lock = dice.one_in(2) ? *lease : *for_ever;
    const bool is_lease = &lock == lease.get();
    const std::int64_t asked = now_ns();
    if (!lock.try_acquire_for(10s)) {
      world->timeouts.fetch_add(1);
      continue;
    }
    if (!lock.held()) {  // over before we could look
      lock.unlock();
      continue;
    }
    std::uint64_t fence = 0;
    try {
      fence = lock.fence();
    } catch (const sherlock::LockNotHeldException&) {
      lock.unlock();
      continue;
    }
    const std::int64_t length = 40'000'000;
    Hold* const hold = world->log.begin(is_lease ? Hold::lease : Hold::never, worker, now_ns(), is_lease ? asked + length : INT64_MAX, fence);
    if (!hold) return lock.unlock();
    nap(dice.time(0, 6000));
    if (dice.one_in(2)) {
      const std::int64_t before = now_ns();
      if (lock.renew()) {
        if (is_lease) hold->deadline = before + length;
        nap(dice.time(0, 6000));
      } else {
        hold->told = true;
        hold->answered = now_ns();
        hold->end = before;
        continue;
      }
    }
    hold->end = now_ns();
    try {
      lock.release();
    } catch (const sherlock::LockLostException&) {
      hold->told = true;
    }
    hold->answered = now_ns();
  }
}

void wall_is_set(const Run& run, Report& report) {
  const Store store{run.backend};
  Dice dice{run.seed};
  const auto busy = store.lock("busy");
  busy->acquire();
  std::vector<pid_t> pids;
  for (int i = 0; i < kWorkers; ++i) {
    const auto seed = static_cast<std::uint64_t>(dice.between(0, INT64_MAX));
    pids.push_back(spawn([&, i, seed] { hold_leases(store, i, seed); }));
  }
  std::uint64_t sets = 0, failed = 0;
  for (const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 0.7e9); now_ns() < end; ++sets) {
    world->wall_set_by = dice.between(-kHour, kHour);
    nap(dice.time(500, 20000));
  }
  world->stop = true;
  failed += failed_of(pids);
  const Verdict v = judge(world->log, Removal::none);
  report.count("acquisitions", v.holds);
  report.count("settings of the wall clock", sets);
  report.count("overlaps after a deadline", v.late_overlaps);
  report.broken("overlaps", v.overlaps);
  report.broken("losses untold", v.untold);
  report.broken("false losses", v.false_losses);
  report.broken("fences back", v.fences_back);
  report.broken("timeouts", world->timeouts);
  report.broken("granted what another has", world->failed_renewals);
  report.broken("timeouts that came early", world->early);
  report.broken("failed workers", failed);
  report.worst("latest timeout", nanoseconds{world->latest.load()});
}

// ----------------------------------------------------------------------------------------------------------- suspended

// What is wrong with it; empty: nothing. One process holds a lease and a lock without end, is suspended, and another one comes.
std::string suspended(const Store& store) {
  const Shared<char[128]> wrong;
  reap(spawn([&] {
    alarm(20);
    live_by_set_clocks(true);
    const auto say = [&](const char* what) {
      if ((*wrong)[0] == '\0') std::strncpy(*wrong, what, sizeof *wrong - 1);
    };
    try {
      const auto lease = store.lock("suspended lease", {.expire = 1h}), other = store.lock("suspended lease", {.expire = 1h});
      const auto held = store.lock("suspended"), waits = store.lock("suspended");
      lease->acquire();
      held->acquire();
      const std::uint64_t fence = lease->fence();
      world->suspended_for += 30 * 60 * 1'000'000'000ll;
      if (!lease->held() || !lease->renew()) say("a lease of an hour is over after half an hour");
      world->suspended_for += 8 * kHour;
      if (lease->held()) say("a lease that is over seems held");
      if (!other->try_acquire()) say("a lease that is over is in the way");
      if (lease->renew()) say("a lease that is over was renewed");
      if (other->held() && other->fence() <= fence) say("a fence went back");
      if (!held->held() || !held->renew()) say("a hold without end has ended");
      const nanoseconds before = sherlock::real_clock().monotonic();
      if (waits->try_acquire_for(20ms)) say("a hold without end was taken");
      if (sherlock::real_clock().monotonic() - before < 20ms) say("a timeout came early");
      other->release();
      held->release();
    } catch (const std::exception& e) {
      say(e.what());
    }
  }));
  return *wrong;
}

// ------------------------------------------------------------------------------------------------------ time namespaces

// Whoever comes from another time namespace is refused or kept out while somebody from this one holds, and the other way round.
std::string other_time(const Run& run) {
  const auto there = [](const std::function<void()>& body) {
    return spawn([&] {
      alarm(20);
      leave(CLONE_NEWTIME, geteuid() != 0);
      if (!write_to("/proc/self/timens_offsets", "boottime 100000 0\nmonotonic 100000 0")) throw std::runtime_error{"timens_offsets"};
      if (!reap(spawn(body))) throw std::runtime_error{"what was done in another time namespace"};
    });
  };
  enum Came : int { nothing, granted, busy, refused };
  const auto come = [](const Store& store, std::atomic<int>& came) {
    try {
      const auto lock = store.lock("x", {.timeout = 10ms});
      came = lock->try_acquire() ? granted : busy;
    } catch (const sherlock::LockException&) {
      came = refused;
    }
  };
  for (const bool holder_there : {false, true}) {
    const Store store{run.backend};
    const Shared<std::atomic<int>> came, holds;
    const auto holder = [&] {
      const auto lock = store.lock("x", {.expire = 1h});
      lock->acquire();
      *holds = 1;
      while (*holds == 1) nap(1ms);
      if (!lock->renew()) throw std::runtime_error{"the holder lost it"};
      lock->release();
    };
    const pid_t holds_it = holder_there ? there(holder) : spawn(holder);
    for (int i = 0; i < 5000 && *holds == 0; ++i) nap(1ms);
    if (*holds == 0) return "nobody could hold it";
    const pid_t comes = holder_there ? spawn([&] { come(store, *came); }) : there([&] { come(store, *came); });
    const bool came_well = reap(comes);
    *holds = 2;
    if (!reap(holds_it) || !came_well) return "somebody failed";
    if (*came == granted) return "granted to two, of different time namespaces";
    if (*came == nothing) return "no answer";
    // When nobody of the other one is there any more, all is well again.
    *came = nothing;
    if (!reap(spawn([&] { come(store, *came); })) || *came != granted) return "not free when the others are gone";
  }
  return {};
}

}  // namespace

void clocks_run(const Run& run, Report& report) {
  const Shared<World> shared;
  world = &*shared;
  std::uint64_t wrong = 0;
  const auto judge_scene = [&](const char* what, const std::string& why) {
    if (why.empty()) return;
    ++wrong;
    fmt::print(stderr, "  {}: {}\n", what, why);
  };
  {
    const Store store{run.backend};
    judge_scene("suspended", suspended(store));
    shared->suspended_for = 0;
  }
  const std::string no_namespaces = obstacle_to([] { leave(CLONE_NEWTIME, geteuid() != 0); });
  if (no_namespaces.empty()) judge_scene("time namespaces", other_time(run));
  wall_is_set(run, report);
  report.count(no_namespaces.empty() ? "time namespaces" : "time namespaces left out", 1);
  report.broken("wrong in another time", wrong);
}

}  // namespace stress
