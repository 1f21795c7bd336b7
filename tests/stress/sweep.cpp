// SPDX-License-Identifier: MIT
// Kills a process before and after each of its system calls, one run for each, in every situation a lock can be in, and sees whether a survivor
// gets the lock, soon and alone. Then the same with a stop: locks of other names must go on meanwhile, and all must end well when it goes on.
#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <vector>

#include "posix/syscall.hpp"
#include "scenes.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;
using sherlock::posix::Syscalls;

constexpr std::int64_t kSoon = 200'000'000;     // what is wanted
constexpr std::int64_t kStuck = 4'000'000'000;  // what is broken, on whatever busy machine

int hurt_by = SIGKILL;
long hurt_at = 0, passed = 0;
bool armed = false;

void pass_point() {
  if (!armed || ++passed != hurt_at) return;
  if (hurt_by == SIGKILL) mark_killed(scenery->lock, victim_id, 1);
  kill(getpid(), hurt_by);
}

// One entry of the table of system calls, with a point before and after.
template <auto Entry>
struct Pointed;
template <class Result, class... Arguments, Result (*Syscalls::*Entry)(Arguments...)>
struct Pointed<Entry> {
  static Result call(Arguments... arguments) {
    pass_point();
    const Result result = (sherlock::posix::real_syscalls().*Entry)(arguments...);
    const int error = errno;
    pass_point();
    errno = error;
    return result;
  }
};
template <auto... Entries>
void point_all(Syscalls& table) {
  ((table.*Entries = Pointed<Entries>::call), ...);
}

void arm(int signal, long at) {
  point_all<&Syscalls::openat, &Syscalls::close, &Syscalls::flock, &Syscalls::fcntl_lock, &Syscalls::fstat, &Syscalls::fstatat, &Syscalls::fstatfs,
            &Syscalls::mkdir, &Syscalls::fchmod, &Syscalls::fallocate, &Syscalls::linkat, &Syscalls::renameat2, &Syscalls::unlinkat,
            &Syscalls::inotify_init1, &Syscalls::inotify_add_watch, &Syscalls::read, &Syscalls::ppoll, &Syscalls::futex, &Syscalls::futex_waitv>(
      sherlock::posix::syscalls());
  hurt_by = signal;
  hurt_at = at;
  passed = 0;
  armed = true;
}

struct Figures {
  std::uint64_t points = 0, slow = 0, stuck = 0, overlaps = 0, fences_back = 0, untold = 0, failed = 0;
  std::int64_t longest = 0;
  std::uint64_t broken() const { return stuck + overlaps + fences_back + untold + failed; }
};

pid_t start_survivor(const Store& store, const char* name) {
  scenery->granted = 0;
  const bool same = name[0] == 'x';
  return spawn([=, &store] {
    const auto lock = store.lock(name, {.timeout = nanoseconds{2 * kStuck}});
    lock->acquire();
    scenery->granted = now_ns();
    if (same) {
      const Inside inside{scenery->lock, survivor_id, 1, lock->fence()};
    }
    lock->release();
  });
}

void judge_survivor(Figures& f, pid_t survivor, std::int64_t from) {
  if (!reap(survivor)) {
    ++f.stuck;
    return;
  }
  const std::int64_t took = scenery->granted - std::max(from, scenery->freed.load());
  f.longest = std::max(f.longest, took);
  if (took > kSoon) ++f.slow;
  if (took > kStuck) ++f.stuck;
}

// Whoever is stopped inside a SQLite database stops all others there; they are told, and must go on when it does.
bool stops_everybody(const std::string& backend) { return backend == "sqlite"; }

// False: the victim came through, so there are no more points.
bool hurt_once(const std::string& backend, const Scene& scene, int signal, long at, Figures& f) {
  const Store store{backend};
  const Shared<Scenery> shared;
  scenery = &*shared;
  std::vector<pid_t> helpers;
  scene.before(store, helpers);
  const pid_t victim = spawn([&] { scene.victim(store, [&] { arm(signal, at); }); });
  pid_t survivor = scene.competes ? start_survivor(store, "x") : 0;

  int status = 0;
  waitpid(victim, &status, WUNTRACED);
  const bool hurt = WIFSIGNALED(status) || WIFSTOPPED(status);
  std::int64_t from = now_ns();
  if (WIFSTOPPED(status)) {
    if (!stops_everybody(backend)) judge_survivor(f, start_survivor(store, "other"), from);
    kill(victim, SIGCONT);
    if (!reap(victim)) ++f.failed;
    from = now_ns();
    if (scene.competes) scenery->granted = from;  // how long it waits for a stopped one is not ours to judge
  } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    ++f.failed;
  }
  if (!survivor) survivor = start_survivor(store, "x");
  judge_survivor(f, survivor, from);
  for (const pid_t helper : helpers) {
    kill(helper, SIGCONT);
    if (!reap(helper)) ++f.failed;
  }
  // Whoever was taken over must have learned it, if anybody did take over: the survivor at least.
  if (scene.late_holder && !scenery->told) ++f.untold;
  ++f.points;
  f.overlaps += scenery->lock.overlaps;
  f.fences_back += scenery->lock.fences_back;
  return hurt;
}

}  // namespace

void sweep_run(const Run& run, Report& report) {
  const int signal = run.name == "calls-kill" ? SIGKILL : SIGSTOP;
  Figures f;
  std::uint64_t hurts = 0;
  for (const Scene& scene : scenes()) {
    if (!run.scene.empty() && run.scene != scene.name) continue;
    if (scene.only_files && !Store{run.backend}.is_files()) continue;
    // There who waits is refused, while a process is stopped.
    if (signal == SIGSTOP && scene.competes && stops_everybody(run.backend)) continue;
    bool hurt = true;
    for (long at = 1; at < 1000 && hurt; ++at) {
      const std::uint64_t before = f.broken();
      hurt = hurt_once(run.backend, scene, signal, at, f);
      hurts += hurt;
      if (f.broken() != before) fmt::print(stderr, "  {}: point {} of '{}' broke something\n", run.name, at, scene.name);
    }
  }
  report.count("points", f.points);
  report.count(signal == SIGSTOP ? "stops" : "kills", hurts);
  report.count("recoveries over 200 ms", f.slow);
  report.broken("stuck", f.stuck);
  report.broken("overlaps", f.overlaps);
  report.broken("fences back", f.fences_back);
  report.broken("losses untold", f.untold);
  report.broken("failed", f.failed);
  report.broken("idle", hurts == 0);
  report.worst("worst recovery", nanoseconds{f.longest});
}

}  // namespace stress
