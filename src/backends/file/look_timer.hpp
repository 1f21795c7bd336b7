// SPDX-License-Identifier: MIT
// When to look again whether the store is still where it was. Looks cost system calls, so they are made when the last is some milliseconds old; the
// clock that tells costs 4 ns.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

namespace sherlock::file {

// A reading in nanoseconds, a few milliseconds old.
inline std::int64_t coarse_clock(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

class LookTimer {
 public:
  // Whether it is time; if so, the caller looks, and the time starts anew.
  bool due(std::int64_t every = kEvery) {
    const std::int64_t now = coarse_clock(CLOCK_MONOTONIC_COARSE);
    if (now - last_.load(std::memory_order_relaxed) < every) return false;
    last_.store(now, std::memory_order_relaxed);
    return true;
  }
  void make_due() { last_.store(0, std::memory_order_relaxed); }

  static constexpr std::int64_t kEvery = 4'000'000;  // a tick of the coarse clock at 250 Hz; promised is a look when the last is 10 ms old
  static constexpr std::int64_t kWhileWaiting = 50'000'000;  // who waits holds nothing yet: it only must not wait at the wrong place for long

 private:
  std::atomic<std::int64_t> last_{0};
};

}  // namespace sherlock::file
