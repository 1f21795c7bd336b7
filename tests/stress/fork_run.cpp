// SPDX-License-Identifier: MIT
// Threads lock, wait for each other on shared objects and make objects, while the main thread forks. Each child destroys what it inherited, makes
// locks of its own and takes them, within 2 s, also the one that its parent's threads are at, and so does a child of its own; every tenth execs instead, and
// must not have been given what keeps a hold alive.
#include <fmt/core.h>
#include <spawn.h>

#include <memory>
#include <thread>
#include <vector>

#include "detector.hpp"
#include "store.hpp"

extern char** environ;

namespace stress {
namespace {

using namespace std::chrono_literals;

struct State {
  Detector shared, own;
  std::atomic<std::uint64_t> losses;
};

// Ends within 2 s, and well.
bool ends_in_time(pid_t pid, bool& hung) {
  const std::int64_t give_up = now_ns() + 2'000'000'000;
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) != pid) {
    if (now_ns() > give_up) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      hung = true;
      return false;
    }
    nap(200us);
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void take(const Store& store, State& s, int who, std::uint64_t life) {
  const auto fresh = store.lock("child", {.timeout = 1500ms}), parents = store.lock("shared", {.timeout = 1500ms});
  fresh->acquire();
  {
    const Inside inside{s.own, who, life, fresh->fence()};
  }
  fresh->release();
  parents->acquire();
  {
    const Inside inside{s.shared, who, life, parents->fence()};
  }
  parents->release();
}

pid_t exec_self(std::string held_by) {
  char program[] = "/proc/self/exe", argument[] = "--inherited";
  char* arguments[] = {program, argument, held_by.data(), nullptr};
  pid_t pid = -1;
  if (posix_spawn(&pid, program, nullptr, nullptr, arguments, environ) != 0) throw std::runtime_error{"posix_spawn"};
  return pid;
}

}  // namespace

void fork_run(const Run& run, Report& report) {
  const Store store{run.backend};
  const Shared<State> s;
  // Shared by two threads, so that one has the lock and another waits its turn.
  auto contended = store.lock("shared", {.timeout = 10s});
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, i] {
      Dice dice{run.seed + static_cast<std::uint64_t>(i)};
      while (!stop) try {
          contended->acquire();
          {
            const Inside inside{s->shared, i, 1, contended->fence()};
            nap(dice.time(0, 500));
          }
          contended->release();
        } catch (const sherlock::LockException&) {  // nobody takes it away, and nobody holds it for so long
          s->losses.fetch_add(1);
        }
    });
  threads.emplace_back([&] {
    for (int i = 0; !stop; ++i) {
      const auto fresh = store.lock(fmt::format("thread {}", i % 5));
      fresh->acquire();
      fresh->release();
    }
  });

  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 1e9);
  std::uint64_t forks = 0, execs = 0, hung = 0, failed = 0, leaks = 0;
  for (; forks < 1000 && hung < 3 && now_ns() < end; ++forks) {
    bool hangs = false;
    if (forks % 10 == 9) {
      ++execs;
      leaks += !ends_in_time(exec_self(store.held_by()), hangs);
    } else {
      const pid_t child = spawn([&] {
        if (descriptors(store.held_by()) != 0) throw std::runtime_error{"what keeps a hold alive was inherited"};
        if (contended->held()) throw std::runtime_error{"the child holds its parent's lock"};
        if (forks % 2 == 0) contended.reset();
        take(store, *s, 100, forks + 1);
        const pid_t grandchild = spawn([&] { take(store, *s, 101, forks + 1); });
        if (!reap(grandchild)) throw std::runtime_error{"the child's child failed"};
      });
      failed += !ends_in_time(child, hangs);
    }
    hung += hangs;
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  report.count("acquisitions", s->shared.grants + s->own.grants);
  report.count("forks", forks);
  report.count("execs", execs);
  report.broken("overlaps", s->shared.overlaps + s->own.overlaps);
  report.broken("fences back", s->shared.fences_back + s->own.fences_back);
  report.broken("losses and timeouts", s->losses);
  report.broken("stuck", hung);
  report.broken("failed children", failed);
  report.broken("inherited by programs", leaks);
}

}  // namespace stress
