// SPDX-License-Identifier: MIT
// How long a server has to answer, and how long it keeps a lease.
//
// A lease is counted twice: here, from before the request was sent (BaseLock reads the clock first), and on the server, from when the request arrives,
// for a ninth longer. So the holder's own count ends first, by a tenth of what the server keeps, whatever the way took and
// however the two clocks drift: a hold is called lost before the server would let another in.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include <sherlock/claim.hpp>
#include <sherlock/clock.hpp>
#include <sherlock/duration.hpp>

namespace sherlock::addons {

// An instant of Clock::monotonic() by which a call must have come back.
class Deadline {
 public:
  explicit Deadline(std::chrono::nanoseconds at) : at_{at} {}
  static Deadline in(std::chrono::nanoseconds from_now) { return Deadline{clock().monotonic() + from_now}; }

  std::chrono::nanoseconds at() const { return at_; }
  std::chrono::nanoseconds left() const { return std::max(at_ - clock().monotonic(), std::chrono::nanoseconds{0}); }
  bool passed() const { return left().count() == 0; }
  // For poll() and the like, in milliseconds: rounded up, so that nobody spins through the last one. An hour at most: look at passed() afterwards.
  // (Not for ppoll(): a process that is stopped in it and goes on sleeps for as long again as was left. poll() remembers when to end.)
  int wait_ms() const {
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(std::min<std::chrono::nanoseconds>(left(), std::chrono::hours{1})).count());
  }

 private:
  std::chrono::nanoseconds at_;
};

// What the server is told to keep of a lease that the holder believes to last for `expire`: a ninth longer, a minute at most.
inline std::chrono::milliseconds kept_by_server(Duration expire) {
  const auto lease = std::chrono::ceil<std::chrono::milliseconds>(expire.ns());
  return lease + std::clamp<std::chrono::milliseconds>(lease / 9 + std::chrono::milliseconds{1}, std::chrono::milliseconds{10}, std::chrono::minutes{1});
}

// When the present hold's lease ends, as far as its holder is concerned: who renews it need not wait for an answer any longer. A verb may note it
// while another one reads it.
class LeaseEnd {
 public:
  // The store granted or renewed the claim.
  void note(const Claim& claim) { ends_.store(claim.expire.is_infinite() ? kNever : claim.expire.after(claim.now()).count(), std::memory_order_relaxed); }
  // When a renewal must have its answer.
  Deadline renewal(const Claim& claim) const {
    const std::int64_t ends = ends_.load(std::memory_order_relaxed);
    if (ends == kNever || claim.expire.is_infinite()) return Deadline{claim.answer_by()};
    // The lease goes on while the machine sleeps, the deadline does not: told by different clocks.
    return Deadline{std::min(claim.answer_by(), clock().monotonic() + (std::chrono::nanoseconds{ends} - clock().boottime()))};
  }

 private:
  static constexpr std::int64_t kNever = std::chrono::nanoseconds::max().count();
  std::atomic<std::int64_t> ends_{kNever};
};

}  // namespace sherlock::addons
