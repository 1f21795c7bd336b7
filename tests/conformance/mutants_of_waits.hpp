// SPDX-License-Identifier: MIT
// Mutants that wait in the wrong way.
#pragma once

#include <algorithm>
#include <thread>
#include <utility>

#include <sherlock/clock.hpp>

#include "reference_lock.hpp"

namespace reference {

// Stands in the queue first, whatever there is to have, and sleeps there for its interval.
struct WaitsAtFirst : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    return claim.attempt == Attempt::first ? std::nullopt : ReferenceLock::do_acquire(claim);
  }
  void do_wait(const Claim&, nanoseconds deadline, std::stop_token stop) override { sherlock::clock().sleep_until(deadline, std::move(stop)); }
};

// Tries again, and again, although it was asked to try once.
struct TriesForLong : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    auto grant = ReferenceLock::do_acquire(claim);
    if (!grant && claim.attempt == Attempt::once) std::this_thread::sleep_for(std::chrono::milliseconds{3100});
    return grant;
  }
};

struct WaitsTooLong : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  void do_wait(const Claim& claim, nanoseconds deadline, std::stop_token stop) override {
    ReferenceLock::do_wait(claim, deadline + std::chrono::milliseconds{3100}, std::move(stop));
  }
};

struct HearsNoRelease : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  void do_wait(const Claim&, nanoseconds deadline, std::stop_token stop) override { sherlock::clock().sleep_until(deadline, std::move(stop)); }
};

// Counts its tries instead of looking at a clock.
struct CountsTries : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  void do_wait(const Claim& claim, nanoseconds deadline, std::stop_token stop) override {
    constexpr std::chrono::milliseconds kNap{1};
    const auto naps = std::min<std::int64_t>((deadline - sherlock::clock().monotonic()) / kNap, 1'000'000);
    for (std::int64_t i = 0; i < naps && !stop.stop_requested(); ++i) {
      ReferenceLock::do_wait(claim, nanoseconds{0}, stop);
      {
        const Store::Inside inside{store()};
        claim.refresh_now();
        if (may_take(entry(claim), claim)) return;
      }
      std::this_thread::sleep_for(kNap);
    }
    ReferenceLock::do_wait(claim, nanoseconds{0}, stop);
  }
};

struct CannotBeStopped : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  void do_wait(const Claim& claim, nanoseconds deadline, std::stop_token stop) override {
    ReferenceLock::do_wait(claim, deadline, stop.stop_requested() ? stop : std::stop_token{});
  }
};

struct NoLastTry : HearsNoRelease {
  using HearsNoRelease::HearsNoRelease;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    return claim.attempt == Attempt::last ? std::nullopt : HearsNoRelease::do_acquire(claim);
  }
};

// Who has just released has the lock for a while to come, and need not wait for it. That is no matter of luck: however slow the machine, who comes back
// within the while is preferred to all who wait.
struct KeptForItsLast : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool may_take(const Entry& entry, const Claim& claim) const override {
    if (entry.held) return is_over(entry, claim);
    const bool waits = claim.attempt == Attempt::first || claim.attempt == Attempt::waiting;
    return !waits || mine_was_last(entry) || is_over(entry, claim);
  }
  bool do_release(const Claim& claim) override {
    const Store::Inside inside{store()};
    Entry& entry = this->entry(claim);
    if (!is_mine(entry, claim)) return false;
    entry.held = false;
    entry.ends = (claim.now() + std::chrono::milliseconds{300}).count();
    return true;
  }

 private:
  bool mine_was_last(const Entry& entry) const {
    return entry.holder.slot == store().me().slot && entry.holder.generation == store().me().generation;
  }
};

}  // namespace reference
