// SPDX-License-Identifier: MIT
// clock().boottime() without the detour through a virtual call, and, where a tick more or less does not matter, without its price.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include <sherlock/clock.hpp>

#include "posix/clock.hpp"

namespace sherlock::detail {

extern std::atomic<Clock*> replaced_clock;  // null: the real one is in use

inline std::chrono::nanoseconds boottime() {
  Clock* const replaced = replaced_clock.load(std::memory_order_acquire);
  return replaced ? replaced->boottime() : posix::read_clock(CLOCK_BOOTTIME);
}

// How long the machine had been suspended when the wall clock was so far ahead of the monotonic one. Only a suspension or somebody who sets the wall clock
// changes that distance, so as long as it stays, the time suspended has.
struct Suspended {
  std::atomic<std::int64_t> distance{0};  // 0: being written, or never
  std::atomic<std::int64_t> time{0};
};
extern Suspended suspended;
// Asks the exact clocks, and remembers for next time.
std::int64_t ask_suspended(std::int64_t distance) noexcept;

inline constexpr std::int64_t kLongestTick = 10'000'000;  // of a coarse clock, with the slowest kernels

// clock().boottime(), or up to a tick later, out of two coarse clocks that were just read: together they cost an eighth of the exact one.
inline std::chrono::nanoseconds boottime_or_later(std::int64_t wall, std::int64_t monotonic) noexcept {
  if (replaced_clock.load(std::memory_order_relaxed)) [[unlikely]]
    return boottime();
  const std::int64_t distance = wall - monotonic;
  std::int64_t time = 0;
  if (suspended.distance.load(std::memory_order_acquire) != distance ||
      (time = suspended.time.load(std::memory_order_acquire), suspended.distance.load(std::memory_order_relaxed) != distance)) [[unlikely]]
    time = ask_suspended(distance);
  return std::chrono::nanoseconds{monotonic + time + kLongestTick};
}

}  // namespace sherlock::detail
