// SPDX-License-Identifier: MIT
// Sleeping on a 32-bit word in memory that processes share. Never private futexes (the sleepers are in other processes), always
// absolute deadlines. A wait may return for no reason: look again.
#pragma once

#include <linux/futex.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <ctime>

#include "posix/syscall.hpp"

namespace sherlock::posix {

using Word = std::atomic<std::uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 4);

inline timespec as_timespec(std::chrono::nanoseconds time) {
  if (time.count() < 0) return {0, 0};
  return {static_cast<time_t>(time.count() / 1000000000), static_cast<long>(time.count() % 1000000000)};
}

// Sleeps while the word is `expected`, at most until `deadline` (CLOCK_MONOTONIC). 0: woken. Otherwise -1 and errno (EAGAIN: the word differs;
// ETIMEDOUT; EINTR).
inline long futex_wait(const Word& word, std::uint32_t expected, std::chrono::nanoseconds deadline) {
  const timespec until = as_timespec(deadline);
  return syscalls().futex(&word, FUTEX_WAIT_BITSET, expected, &until, FUTEX_BITSET_MATCH_ANY);
}

// Returns how many were woken.
inline long futex_wake(const Word& word, int count = 1) {
  return syscalls().futex(&word, FUTEX_WAKE, static_cast<unsigned>(count), nullptr, 0);
}
inline long futex_wake_all(const Word& word) { return futex_wake(word, INT_MAX); }

// As linux/futex.h has it since 5.16; Debian's older headers are not asked.
struct FutexWaiter {
  std::uint64_t value = 0;
  std::uint64_t address = 0;
  std::uint32_t flags = 0x02;  // FUTEX_32, shared
  std::uint32_t reserved = 0;

  FutexWaiter() = default;
  FutexWaiter(const Word& word, std::uint32_t expected)
      : value{expected}, address{static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&word))} {}
};

// Sleeps on several words at once (Linux 5.16). The index of the word that was woken, or -1 and errno; ENOSYS on older kernels and
// under some sandboxes (EPERM).
inline long futex_wait_any(FutexWaiter* waiters, unsigned count, std::chrono::nanoseconds deadline) {
  const timespec until = as_timespec(deadline);
  return syscalls().futex_waitv(waiters, count, &until);
}

}  // namespace sherlock::posix
