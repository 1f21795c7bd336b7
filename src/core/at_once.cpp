// SPDX-License-Identifier: MIT
// The verbs as they are nearly always called: a free lock is taken, one's own is let go. Where the store needs no claim for that, each is one virtual call
// and two stores; everything else goes the long way, which would have given the same answer.
//
// What is short here is the number of stores: an atomic compare-and-swap waits until all stores before it are done.
#include <algorithm>

#include "core/boottime.hpp"
#include "core/hold.hpp"

namespace sherlock {

// The hold that the store has granted at once. Nobody else of this object can be granted until it is let go.
[[gnu::always_inline]] inline void BaseLock::establish_at_once(std::uint64_t fence, std::chrono::nanoseconds lease_ends) {
  const std::uint64_t before = hold_.load(std::memory_order_relaxed), next = (before >> 2) + 1;
  // Abandoned: so was another thread's hold of this object, after the short way was found open.
  if ((before & 3) != static_cast<std::uint64_t>(State::none) || next % detail::kHoldsOfAnObject == 0 ||
      abandoned_.load(std::memory_order_relaxed)) [[unlikely]]
    return establish_beside(fence, lease_ends);
  fence_.store(fence, std::memory_order_relaxed);
  hold_.store(detail::pack_hold(next, State::held), std::memory_order_release);
}

// Nothing that is asked for before the clock is needed after it: what is alive over a call needs a register that has to be stored first.
[[gnu::always_inline]] inline bool BaseLock::acquire_quickly() {
  if ((hold_.load(std::memory_order_relaxed) & 3) != static_cast<std::uint64_t>(State::none) ||
      quick_process_.load(std::memory_order_relaxed) != posix::process_token_if_drawn()) [[unlikely]]
    return false;
  const std::int64_t wall = posix::coarse_wall();
  if (!expire_.is_infinite()) [[unlikely]]
    return acquire_lease_quickly(wall);
  const std::uint64_t fence = store_->do_acquire_at_once(wall, {});
  if (fence == 0) [[unlikely]]
    return false;
  establish_at_once(fence, {});
  return true;
}

[[gnu::noinline]] bool BaseLock::acquire_lease_quickly(std::int64_t wall) {
  const std::int64_t monotonic = posix::coarse_monotonic();
  // From before the store was asked. A long lease is counted in ticks of a clock that costs a tenth: it may last a tick longer, for everybody.
  constexpr Duration kLong = std::chrono::seconds{1};
  const bool is_long = expire_.ns() >= kLong.ns();
  const std::chrono::nanoseconds ends = expire_.after(is_long ? detail::boottime_or_later(wall, monotonic) : detail::boottime());
  const std::uint64_t fence = store_->do_acquire_at_once(wall, ends);
  if (fence == 0) return false;
  lease_ends_.store(ends.count(), std::memory_order_relaxed);
  detail::store_if_new(granted_wall_, wall);
  detail::store_if_new(granted_monotonic_, monotonic);
  establish_at_once(fence, ends);
  return true;
}

// Whether a lease that was granted at once is not over yet, mostly by clocks that cost an eighth of CLOCK_BOOTTIME: the monotonic one sees all delays but a
// suspended machine, the wall clock sees that too. Where they do not agree, or not much is left, the exact clock is asked.
[[gnu::noinline]] bool BaseLock::in_time(std::int64_t wall) const noexcept {
  const auto left = static_cast<std::uint64_t>(std::max(expire_.ns().count() - 2 * detail::kLongestTick, std::int64_t{0}));
  const bool surely = !detail::replaced_clock.load(std::memory_order_relaxed) &&
                      static_cast<std::uint64_t>(wall - granted_wall_.load(std::memory_order_relaxed)) < left &&
                      static_cast<std::uint64_t>(posix::coarse_monotonic() - granted_monotonic_.load(std::memory_order_relaxed)) < left;
  return surely || detail::boottime().count() < lease_ends_.load(std::memory_order_relaxed);
}

// Lets go of a hold that the store can end at once. Otherwise `with_care` is called with the word of the hold that this object has let go, and its fence, for
// the store has not been told; or with zeros, for nothing was touched.
template <bool kLease, bool kAlone, class WithCare>
[[gnu::always_inline]] inline void BaseLock::let_go_quickly(WithCare with_care) {
  if (quick_process_.load(std::memory_order_relaxed) != posix::process_token_if_drawn()) [[unlikely]]
    return with_care(0, 0);
  const std::int64_t wall = posix::coarse_wall();
  const std::uint64_t before = hold_.load(std::memory_order_acquire);
  if ((before & 3) != static_cast<std::uint64_t>(State::held) || (kLease && !in_time(wall))) [[unlikely]]
    return with_care(0, 0);
  const std::uint64_t fence = fence_.load(std::memory_order_relaxed), none = before - static_cast<std::uint64_t>(State::held);
  // As let_go_of(): before the store is told.
  std::uint64_t present = before;
  if constexpr (kAlone)
    hold_.store(none, std::memory_order_release);
  else if (!hold_.compare_exchange_strong(present, none)) [[unlikely]]
    return with_care(0, 0);
  if (store_->do_release_at_once(fence, wall)) [[likely]]
    return;
  // Alone with the object, a thread finds what it let go where it left it, and needs no registers to keep it in.
  if constexpr (kAlone)
    with_care(hold_.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(State::held), fence_.load(std::memory_order_relaxed));
  else
    with_care(before, fence);
}

BaseLock::Hold BaseLock::hold_let_go(std::uint64_t word, std::uint64_t fence) noexcept {
  return {State::held, word >> 2, posix::process_token(), fence, {}};
}

template <bool kLease, bool kAlone>
[[gnu::noinline]] void BaseLock::release_quickly() {
  let_go_quickly<kLease, kAlone>([this](std::uint64_t word, std::uint64_t fence) { release_with_care(word, fence); });
}

template <bool kLease, bool kAlone>
[[gnu::noinline]] void BaseLock::unlock_quickly() noexcept {
  let_go_quickly<kLease, kAlone>([this](std::uint64_t word, std::uint64_t fence) { unlock_with_care(word, fence); });
}

bool BaseLock::acquire_at_once() { return acquire_quickly(); }

// Apart, so that the short way saves no registers for it.
[[gnu::noinline, gnu::cold]] void BaseLock::acquire_with_care() {
  if (!acquire_within(timeout_, std::stop_token{})) throw_timeout(timeout_.ns());
}

void BaseLock::acquire() {
  if (!acquire_quickly()) [[unlikely]]
    acquire_with_care();
}

bool BaseLock::try_acquire() { return acquire_quickly() || attempt(Attempt::once, detail::kShortSection); }

void BaseLock::release() {
  if (!expire_.is_infinite()) [[unlikely]]
    return __libc_single_threaded ? release_quickly<true, true>() : release_quickly<true, false>();
  if (!__libc_single_threaded) [[unlikely]]
    return release_quickly<false, false>();
  let_go_quickly<false, true>([this](std::uint64_t word, std::uint64_t fence) { release_with_care(word, fence); });
}

void BaseLock::unlock() noexcept {
  if (!expire_.is_infinite()) [[unlikely]]
    return __libc_single_threaded ? unlock_quickly<true, true>() : unlock_quickly<true, false>();
  if (!__libc_single_threaded) [[unlikely]]
    return unlock_quickly<false, false>();
  let_go_quickly<false, true>([this](std::uint64_t word, std::uint64_t fence) { unlock_with_care(word, fence); });
}

std::uint64_t BaseLock::do_acquire_at_once(std::int64_t, std::chrono::nanoseconds) noexcept { return 0; }
bool BaseLock::do_release_at_once(std::uint64_t, std::int64_t) noexcept { return false; }

}  // namespace sherlock
