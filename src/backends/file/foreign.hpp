// SPDX-License-Identifier: MIT
// Waiting for somebody who is no user of this library to unlock a file. flock(2) wakes only those who block in it, and who blocks in it
// sees no stop_token, no end of a lease and no replaced file; so this watches for the file being closed, and looks now and then for the rest
// (an unlock without a close makes no event): every 5 ms, and less often the longer it takes, so that waiting costs nothing to speak of.
#pragma once

#include <chrono>

#include "posix/unique_fd.hpp"

namespace sherlock::file {

class ForeignWatch {
 public:
  // Sleeps until the file open as `fd` may have been unlocked, at most until `until` (CLOCK_MONOTONIC), never longer than 50 ms.
  void wait(int fd, std::chrono::nanoseconds until);
  // The wait is over. Keeps the descriptor for the next one: closing it would take the kernel milliseconds, with the lock in hand.
  void reset() {
    watching_ = unwatched_ = false;
    retries_ = 0;
    since_ = {};
  }

 private:
  void drain();

  posix::UniqueFd events_;
  std::chrono::nanoseconds since_{};  // when waiting began
  bool watching_ = false;   // the next close will be told, once
  bool unwatched_ = false;  // the kernel gives no watch: slices alone
  int retries_ = 0;         // looks left after an event: it comes a moment before the kernel drops the lock
};

}  // namespace sherlock::file
