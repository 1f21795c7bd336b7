// SPDX-License-Identifier: MIT
// The hold of a lock object and the claims that are made for it: the few lines that every acquire and release passes, inline in the two files
// that share them.
#pragma once

#include <sys/single_threaded.h>

#include <sherlock/base_lock.hpp>
#include <sherlock/clock.hpp>

#include "core/failure.hpp"
#include "posix/process.hpp"

namespace sherlock {

// What a hold is, copied out of the atomics in one go.
struct BaseLock::Hold {
  State state;
  std::uint64_t owner, process, fence;
  std::chrono::nanoseconds lease_ends;

  // Acquired by this process and neither let go nor found lost since. A forked child inherits the object, not the hold.
  bool here() const { return process == posix::process_token(); }
  bool held() const { return (state == State::held || state == State::kept) && here(); }
};

namespace detail {

inline constexpr Duration kShortSection = std::chrono::seconds{1};  // what one try may wait for the store's own short section

// How many holds of one object have a number of their own before the object takes a new base for them.
inline constexpr std::uint64_t kHoldsOfAnObject = 1ull << 32;
std::uint64_t next_object();

// The word hold_. Owner::hold counts up from a base for each object, far from 62 bits.
template <class State>
std::uint64_t pack_hold(std::uint64_t owner, State state) {
  return owner << 2 | static_cast<std::uint64_t>(state);
}

// A store that changes nothing is left out: the next compare-and-swap would wait for it.
template <class T>
void store_if_new(std::atomic<T>& to, T value) {
  if (to.load(std::memory_order_relaxed) != value) to.store(value, std::memory_order_relaxed);
}

inline Duration longer(Duration a, Duration b) { return a.ns() > b.ns() ? a : b; }
inline Duration shorter(Duration a, Duration b) { return a.ns() < b.ns() ? a : b; }

}  // namespace detail

inline BaseLock::Hold BaseLock::hold() const noexcept {
  const std::uint64_t word = hold_.load(std::memory_order_acquire);
  return {static_cast<State>(word & 3), word >> 2, process_.load(std::memory_order_relaxed), fence_.load(std::memory_order_relaxed),
          std::chrono::nanoseconds{lease_ends_.load(std::memory_order_relaxed)}};
}

inline bool BaseLock::late(const Hold& hold) const noexcept { return !expire_.is_infinite() && clock().boottime() >= hold.lease_ends; }

inline void BaseLock::establish(Owner owner, const Grant& grant, std::chrono::nanoseconds lease_ends) noexcept {
  process_.store(owner.process, std::memory_order_relaxed);
  quick_process_.store(at_once_ && !grant.abandoned ? owner.process : kNoProcess, std::memory_order_relaxed);
  fence_.store(grant.fence, std::memory_order_relaxed);
  lease_ends_.store(lease_ends.count(), std::memory_order_relaxed);
  abandoned_.store(grant.abandoned, std::memory_order_relaxed);
  hold_.store(detail::pack_hold(owner.hold, State::held), std::memory_order_release);
}

// The hold is this thread's to end. False: another thread of this object was quicker. With a single thread there is none, and the one
// atomic read-modify-write that BaseLock would add to an uncontended release is saved.
inline bool BaseLock::let_go_of(const Hold& hold) noexcept {
  const std::uint64_t none = detail::pack_hold(hold.owner, State::none);
  if (__libc_single_threaded) {
    hold_.store(none, std::memory_order_release);
    return true;
  }
  std::uint64_t present = detail::pack_hold(hold.owner, hold.state);
  return hold_.compare_exchange_strong(present, none);
}

inline Claim BaseLock::claim(Attempt attempt, Duration patience, std::chrono::nanoseconds deadline) const noexcept {
  std::uint64_t next = (hold_.load(std::memory_order_relaxed) >> 2) + 1;
  if (next % detail::kHoldsOfAnObject == 0) [[unlikely]]
    next = detail::next_object() + 1;
  return {words_, Owner{posix::process_token(), next}, expire_, attempt, 0, patience, deadline};
}

inline Claim BaseLock::claim_of(const Hold& hold) const noexcept {
  return {words_, Owner{hold.process, hold.owner}, expire_, Attempt::once, hold.fence, patience_};
}

// `old_hold_lost`: the store granted what this object took itself to hold, so the old hold is over, and on_lost is to be told.
inline bool BaseLock::ask(const Claim& claim, bool& old_hold_lost) {
  const bool lease = !expire_.is_infinite();
  if (lease) claim.now();  // a lease counts from before the store was asked
  const std::optional<Grant> grant = detail::guarded(name_, backend_, [&] { return store_->do_acquire(claim); });
  if (!grant) return false;

  std::chrono::nanoseconds ends{};
  if (lease) {
    ends = expire_.after(claim.now());
    // A slow store may grant a lease that is over. Nobody ever had it; but the store remembers its number as one that was released.
    if (threads_ == Threads::one_at_a_time && clock().boottime() >= ends) {
      clean_up({State::held, claim.owner.hold, claim.owner.process, grant->fence, ends});
      std::uint64_t word = hold_.load(std::memory_order_relaxed);
      if ((word & 3) == static_cast<std::uint64_t>(State::none)) hold_.compare_exchange_strong(word, detail::pack_hold(claim.owner.hold, State::none));
      return false;
    }
  }
  if ((hold_.load(std::memory_order_relaxed) & 3) != static_cast<std::uint64_t>(State::none)) [[unlikely]] {
    const Hold old = hold();
    if (old.held()) old_hold_lost = may_tell(old);
  }
  establish(claim.owner, *grant, ends);
  return true;
}

}  // namespace sherlock
