// SPDX-License-Identifier: MIT
// The kernel's clocks, at the price that the kernel asks.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace sherlock::posix {

namespace detail {
// clock_gettime of the kernel's own page of code (vDSO); the C library's where that cannot be found. Called directly, a coarse clock takes half the
// time.
extern int (*read_clock)(clockid_t, timespec*);
}  // namespace detail

inline std::chrono::nanoseconds read_clock(clockid_t id) {
  timespec t;
  detail::read_clock(id, &t);
  return std::chrono::nanoseconds{std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec};
}

// As of some milliseconds ago, in nanoseconds. The wall clock is for `since`, and for deciding when to look again; nothing that decides about a lock.
inline std::int64_t coarse_wall() { return read_clock(CLOCK_REALTIME_COARSE).count(); }
inline std::int64_t coarse_monotonic() { return read_clock(CLOCK_MONOTONIC_COARSE).count(); }

}  // namespace sherlock::posix
