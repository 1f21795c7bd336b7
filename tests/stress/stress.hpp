// SPDX-License-Identifier: MIT
// What the runs of the torture driver share. A supervisor that holds no lock starts workers, hurts them, and reads afterwards what
// they left in shared memory. Everything follows from a seed, as far as the scheduler lets it.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>

#include "report.hpp"

namespace stress {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Each hurts locks for so many seconds, or until there is nothing more to hurt, and tells what it saw.
using Hurt = void(const Run& run, Report& report);
Hurt kill_run, sweep_run, instructions_run, faults_run, lease_run, lease_removal_run, removal_run, fork_run, share_run, wait_run, priority_run, recycle_run, namespace_run,
    neighbour_run, resources_run, clocks_run;

// The clock that leases go by; the same in all processes.
inline std::int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

inline void nap(nanoseconds time) {
  const timespec t{static_cast<time_t>(time.count() / 1'000'000'000), static_cast<long>(time.count() % 1'000'000'000)};
  nanosleep(&t, nullptr);
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_{seed} {}
  std::int64_t between(std::int64_t low, std::int64_t high) { return std::uniform_int_distribution<std::int64_t>{low, high}(engine_); }
  bool one_in(int n) { return between(1, n) == 1; }
  microseconds time(std::int64_t low_us, std::int64_t high_us) { return microseconds{between(low_us, high_us)}; }

 private:
  std::mt19937_64 engine_;
};

// Zeroed memory that forked children share.
template <class T>
class Shared {
 public:
  Shared() {
    void* memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error{"mmap"};
    value_ = static_cast<T*>(memory);
  }
  ~Shared() { munmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  T* value_;
};

// Runs `body` in a forked child. What it throws is printed and counted by its exit code.
template <class Body>
pid_t spawn(Body body) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error{"fork"};
  if (pid > 0) return pid;
  alarm(300);  // nobody outlives a supervisor that was killed for long
  int code = 0;
  try {
    body();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "worker %d: %s\n", getpid(), e.what());
    code = 1;
  }
  std::fflush(nullptr);
  _exit(code);
}

// Whether it ended well by itself.
inline bool reap(pid_t pid) {
  int status = 0;
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// The same, within some seconds; killed where it does not end.
inline bool reap_soon(pid_t pid, std::chrono::seconds patience = std::chrono::seconds{20}) {
  const std::int64_t give_up = now_ns() + nanoseconds{patience}.count();
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (now_ns() >= give_up) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
      return false;
    }
    nap(microseconds{200});
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// How many of them did not end well, or not within some seconds of each other.
template <class Pids>
std::uint64_t failed_of(const Pids& pids, std::chrono::seconds patience = std::chrono::seconds{15}) {
  const std::int64_t give_up = now_ns() + nanoseconds{patience}.count();
  std::uint64_t failed = 0;
  for (const pid_t pid : pids) failed += !reap_soon(pid, std::chrono::seconds{std::max<std::int64_t>((give_up - now_ns()) / 1'000'000'000, 0)});
  return failed;
}

}  // namespace stress
