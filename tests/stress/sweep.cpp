// SPDX-License-Identifier: MIT
// Kills a process before and after each of its system calls, one run for each, in every situation a lock can be in, and sees whether a survivor
// gets the lock, soon and alone. Then the same with a stop: locks of other names must go on meanwhile, and all must end well when it goes on.
// At last kills between instructions, at random ones: there is more to a lock than its system calls.
//
// sweep [--backend NAME] [--seed N] [--only kill|stop|step] [--scene NAME] [--steps N]
#include <fmt/core.h>
#include <sys/ptrace.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "posix/syscall.hpp"
#include "scenes.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;
using sherlock::posix::Syscalls;

constexpr std::int64_t kSoon = 200'000'000;     // what is wanted
constexpr std::int64_t kStuck = 2'000'000'000;  // what is broken, on whatever busy machine

constexpr int kStep = 0;  // instead of a signal
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
  if (signal == kStep) {  // from here on our parent counts our instructions
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    return;
  }
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

// How the victim was after so many instructions: killed there, unless it had come to its end before.
int kill_after(pid_t victim, long instructions, int status) {
  for (long i = 0; i < instructions && WIFSTOPPED(status); ++i) {
    // Signals of its own making there are none; those of the tracing are not passed on.
    ptrace(PTRACE_SINGLESTEP, victim, nullptr, nullptr);
    waitpid(victim, &status, 0);
  }
  if (!WIFSTOPPED(status)) return status;
  mark_killed(scenery->lock, victim_id, 1);
  kill(victim, SIGKILL);
  waitpid(victim, &status, 0);
  return status;
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
  if (signal == kStep) status = kill_after(victim, at, status);
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

void hurt_and_tell(const std::string& backend, const Scene& scene, int signal, const char* what, long at, Figures& f, bool& hurt) {
  const std::uint64_t before = f.broken();
  hurt = hurt_once(backend, scene, signal, at, f);
  if (f.broken() != before) fmt::print("  {} at point {} of '{}' broke something\n", what, at, scene.name);
}

struct Wanted {
  std::uint64_t seed = 1;
  std::string backend = "file", only, scene;
  long steps = 4;  // points a scene
};

int sweep(int signal, const char* what, const Wanted& wanted) {
  if (!wanted.only.empty() && wanted.only != what) return 0;
  std::uint64_t broken = 0;
  Dice dice{wanted.seed};
  for (const Scene& scene : scenes()) {
    if (!wanted.scene.empty() && wanted.scene != scene.name) continue;
    if (scene.only_files && !Store{wanted.backend}.is_files()) continue;
    if (signal == SIGSTOP && scene.competes && stops_everybody(wanted.backend)) {
      fmt::print("{} {}: skipped: who waits is refused while a process is stopped inside the database\n", what, scene.name);
      continue;
    }
    Figures f;
    bool hurt = true;
    if (signal == kStep) {
      // The end is found by trying: a point behind it counts as no point, and the next ones are drawn before it.
      for (long n = 0, behind = 60000; n < wanted.steps; ++n) {
        const long at = dice.between(1, behind);
        hurt_and_tell(wanted.backend, scene, signal, what, at, f, hurt);
        if (!hurt) behind = std::max(at, 2L);
      }
    } else {
      for (long at = 1; at < 1000 && hurt; ++at) hurt_and_tell(wanted.backend, scene, signal, what, at, f, hurt);
    }
    fmt::print("{} {}: {} points, longest {:.1f} ms, over 200 ms {}, stuck {}, overlaps {}, fences back {}, untold {}, failed {}; {}\n", what, scene.name,
               f.points, static_cast<double>(f.longest) / 1e6, f.slow, f.stuck, f.overlaps, f.fences_back, f.untold, f.failed, f.broken() ? "BROKEN" : "kept");
    std::fflush(stdout);
    broken += f.broken();
  }
  return broken != 0;
}

}  // namespace
}  // namespace stress

int main(int argc, char** argv) {
  using namespace stress;
  Wanted wanted;
  wanted.seed = static_cast<std::uint64_t>(time(nullptr));
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i], value = argv[i + 1];
    if (option == "--backend") wanted.backend = value;
    if (option == "--seed") wanted.seed = std::strtoull(value.c_str(), nullptr, 10);
    if (option == "--only") wanted.only = value;
    if (option == "--scene") wanted.scene = value;
    if (option == "--steps") wanted.steps = std::atol(value.c_str());
  }
  fmt::print("{}, seed {}\n", wanted.backend, wanted.seed);
  const int killed = sweep(SIGKILL, "kill", wanted), stopped = sweep(SIGSTOP, "stop", wanted), stepped = sweep(kStep, "step", wanted);
  return killed + stopped + stepped != 0;
}
