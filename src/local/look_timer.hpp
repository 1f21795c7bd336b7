// SPDX-License-Identifier: MIT
// When to look again whether the store is still where it was. Looks cost system calls, so they are made when the last is some milliseconds old.
#pragma once

#include <atomic>
#include <cstdint>

#include "posix/clock.hpp"

namespace sherlock::local {

class LookTimer {
 public:
  // Whether it is time, by the coarse wall clock, which is read for `since` anyway; that the clock was set makes it time too. If it is, the caller looks,
  // and the time starts anew.
  bool due(std::int64_t every = kEvery) {
    const std::int64_t now = posix::coarse_wall();
    if (!is_due(now, every)) return false;
    last_.store(now, std::memory_order_relaxed);
    return true;
  }
  // Whether it would be, at that reading of posix::coarse_wall().
  bool is_due(std::int64_t now, std::int64_t every = kEvery) const {
    return static_cast<std::uint64_t>(now - last_.load(std::memory_order_relaxed)) >= static_cast<std::uint64_t>(every);
  }
  void make_due() { last_.store(0, std::memory_order_relaxed); }

  static constexpr std::int64_t kEvery = 4'000'000;  // a tick of the coarse clock at 250 Hz; promised is a look when the last is 10 ms old
  static constexpr std::int64_t kWhileWaiting = 50'000'000;  // who waits holds nothing yet: it only must not wait at the wrong place for long

 private:
  std::atomic<std::int64_t> last_{0};
};

}  // namespace sherlock::local
