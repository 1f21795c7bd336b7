// SPDX-License-Identifier: MIT
#include "core/boottime.hpp"

namespace sherlock::detail {

Suspended suspended;

std::int64_t ask_suspended(std::int64_t distance) noexcept {
  // Between two readings of the monotonic clock, so that whoever loses the processor in the middle does not take that for a suspension.
  constexpr std::int64_t kAtOnce = 100'000;
  constexpr int kRounds = 3;
  suspended.distance.store(0, std::memory_order_release);
  std::int64_t before = 0, boottime = 0, after = 0;
  for (int round = 0; round < kRounds; ++round) {
    before = posix::read_clock(CLOCK_MONOTONIC).count();
    boottime = posix::read_clock(CLOCK_BOOTTIME).count();
    after = posix::read_clock(CLOCK_MONOTONIC).count();
    if (after - before >= kAtOnce) continue;
    // It only grows, so of two threads that are here at a time the one that asked later is right for both.
    std::int64_t present = suspended.time.load(std::memory_order_relaxed);
    while (present < boottime - before && !suspended.time.compare_exchange_weak(present, boottime - before, std::memory_order_acq_rel)) {
    }
    suspended.distance.store(distance, std::memory_order_release);
    return boottime - before;
  }
  return boottime - after;  // too little, if anything, and not remembered: a lease may end early, but never late
}

}  // namespace sherlock::detail
