// SPDX-License-Identifier: MIT
// The only way the library learns the time, so that a test can be its master.
#pragma once

#include <chrono>
#include <stop_token>

#include <sherlock/export.hpp>

namespace sherlock {

// Safe to use from any thread. Instants are nanoseconds since an arbitrary start of their own clock.
class SHERLOCK_API Clock {
 public:
  virtual ~Clock();

  // For timeouts: CLOCK_MONOTONIC, stands still while the machine is suspended.
  virtual std::chrono::nanoseconds monotonic() const = 0;
  // For leases: CLOCK_BOOTTIME, goes on while the machine is suspended.
  virtual std::chrono::nanoseconds boottime() const = 0;
  // For people, and for the first fence of a key. Decides nothing.
  virtual std::chrono::system_clock::time_point wall() const = 0;
  // Sleeps until `monotonic() >= deadline` or until a stop is requested. May return early.
  virtual void sleep_until(std::chrono::nanoseconds deadline, std::stop_token stop) = 0;
};

// The kernel's clocks.
SHERLOCK_API Clock& real_clock();

// The clock in use: real_clock(), unless a test said otherwise.
SHERLOCK_API Clock& clock() noexcept;

// For tests, while no other thread uses a lock: from now on `replacement` tells the time; null is real_clock() again.
// Kernel waits of the local backends (they sleep in futexes) are not moved by it. Returns what was in use.
SHERLOCK_API Clock* set_clock(Clock* replacement) noexcept;

}  // namespace sherlock
