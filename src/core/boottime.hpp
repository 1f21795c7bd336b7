// SPDX-License-Identifier: MIT
// clock().boottime() without the detour through a virtual call: leases read it twice.
#pragma once

#include <atomic>
#include <chrono>

#include <sherlock/clock.hpp>

#include "posix/clock.hpp"

namespace sherlock::detail {

extern std::atomic<Clock*> replaced_clock;  // null: the real one is in use

inline std::chrono::nanoseconds boottime() {
  Clock* const replaced = replaced_clock.load(std::memory_order_acquire);
  return replaced ? replaced->boottime() : posix::read_clock(CLOCK_BOOTTIME);
}

}  // namespace sherlock::detail
