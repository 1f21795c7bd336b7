// SPDX-License-Identifier: MIT
// The verbs as they are nearly always called: a free lock is taken, one's own is let go. Where the store needs no claim for that, each is one virtual call
// and two stores; everything else goes the long way, which would have given the same answer.
//
// What is short here is the number of stores: an atomic compare-and-swap waits until all stores before it are done.
#include <algorithm>

#include "core/boottime.hpp"
#include "core/hold.hpp"

namespace sherlock {

[[gnu::always_inline]] inline bool BaseLock::acquire_quickly() {
  const std::uint64_t before = hold_.load(std::memory_order_relaxed);
  if ((before & 3) != static_cast<std::uint64_t>(State::none) || !at_once_) return false;
  const std::uint64_t process = posix::process_token();
  const std::int64_t wall = posix::coarse_wall();
  std::int64_t monotonic = 0;
  std::chrono::nanoseconds ends{};
  if (!expire_.is_infinite()) {
    monotonic = posix::coarse_monotonic();
    ends = expire_.after(detail::boottime());  // from before the store was asked
  }
  const std::uint64_t fence = store_->do_acquire_at_once(process, wall, ends);
  if (fence == 0) return false;

  const std::uint64_t next = (before >> 2) + 1;
  if (hold_.load(std::memory_order_relaxed) != before || next % detail::kHoldsOfAnObject == 0) [[unlikely]] {
    establish_beside(process, fence, ends);
    return true;
  }
  if (process_.load(std::memory_order_relaxed) != process) process_.store(process, std::memory_order_relaxed);
  if (abandoned_.load(std::memory_order_relaxed)) abandoned_.store(false, std::memory_order_relaxed);
  if (ends.count() != 0) {
    lease_ends_.store(ends.count(), std::memory_order_relaxed);
    granted_wall_.store(wall, std::memory_order_relaxed);
    granted_monotonic_.store(monotonic, std::memory_order_relaxed);
  }
  fence_.store(fence, std::memory_order_relaxed);
  hold_.store(detail::pack_hold(next, State::held), std::memory_order_release);
  return true;
}

// Whether a lease that was granted at once cannot be over yet, by clocks that cost an eighth of CLOCK_BOOTTIME: the monotonic one sees all delays but a
// suspended machine, the wall clock sees that too. Where they do not agree, or not much is left, the exact clock is asked.
[[gnu::always_inline]] inline bool BaseLock::surely_in_time(std::int64_t wall) const noexcept {
  if (detail::replaced_clock.load(std::memory_order_relaxed)) return false;
  constexpr std::int64_t kCoarse = 20'000'000;  // two ticks of the slowest kernels
  const auto left = static_cast<std::uint64_t>(std::max(expire_.ns().count() - kCoarse, std::int64_t{0}));
  return static_cast<std::uint64_t>(wall - granted_wall_.load(std::memory_order_relaxed)) < left &&
         static_cast<std::uint64_t>(posix::coarse_monotonic() - granted_monotonic_.load(std::memory_order_relaxed)) < left;
}

// Released: all is done. Let go: of this object's hold, which the store has not been told of. Neither: nothing was touched.
[[gnu::always_inline]] inline BaseLock::Quick BaseLock::let_go_quickly(Hold& hold) noexcept {
  const std::uint64_t before = hold_.load(std::memory_order_acquire);
  const std::uint64_t process = posix::process_token();
  if ((before & 3) != static_cast<std::uint64_t>(State::held) || !at_once_ || process_.load(std::memory_order_relaxed) != process)
    return Quick::neither;
  const std::int64_t wall = posix::coarse_wall();
  if (!expire_.is_infinite() && !surely_in_time(wall) && detail::boottime().count() >= lease_ends_.load(std::memory_order_relaxed)) return Quick::neither;
  const std::uint64_t fence = fence_.load(std::memory_order_relaxed), none = before - static_cast<std::uint64_t>(State::held);
  // As let_go_of(): before the store is told.
  std::uint64_t present = before;
  if (__libc_single_threaded)
    hold_.store(none, std::memory_order_release);
  else if (!hold_.compare_exchange_strong(present, none))
    return Quick::neither;
  if (store_->do_release_at_once(process, fence, wall)) [[likely]]
    return Quick::released;
  hold = {State::held, before >> 2, process, fence, {}};
  return Quick::let_go;
}

bool BaseLock::acquire_at_once() { return acquire_quickly(); }

void BaseLock::acquire() {
  if (!acquire_quickly() && !acquire_within(timeout_, std::stop_token{})) throw_timeout(timeout_.ns());
}

bool BaseLock::try_acquire() { return acquire_quickly() || attempt(Attempt::once, detail::kShortSection); }

void BaseLock::release() {
  Hold hold;
  const Quick quick = let_go_quickly(hold);
  if (quick != Quick::released) [[unlikely]]
    release_with_care(quick == Quick::let_go ? &hold : nullptr);
}

void BaseLock::unlock() noexcept {
  Hold hold;
  const Quick quick = let_go_quickly(hold);
  if (quick != Quick::released) [[unlikely]]
    unlock_with_care(quick == Quick::let_go ? &hold : nullptr);
}

std::uint64_t BaseLock::do_acquire_at_once(std::uint64_t, std::int64_t, std::chrono::nanoseconds) noexcept { return 0; }
bool BaseLock::do_release_at_once(std::uint64_t, std::uint64_t, std::int64_t) noexcept { return false; }

}  // namespace sherlock
