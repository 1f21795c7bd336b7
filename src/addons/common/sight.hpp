// SPDX-License-Identifier: MIT
// What this process has seen of a lock whose store ends no lease, and since when. No machine's clock is trusted but our own: a lease is over when its record was
// seen, and seen unchanged for as long as it says, by us.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace sherlock::addons {

// Found: a record as it was read. Has content(), with owner, held and ttl, and unchanged_since(earlier), which is false where the record was written meanwhile,
// with the same words too.
template <class Found>
class Sight {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  // `now` is an instant of Clock::monotonic() after the server answered: what it says was so at that time at the latest, and whoever wrote it counts from earlier.
  void see(std::optional<Found> found, nanoseconds now) {
    if (!found || !found_ || !found->unchanged_since(*found_)) since_ = now;
    found_ = std::move(found);
  }

  // Nothing: there was no record when we looked last, or we never looked.
  const std::optional<Found>& found() const { return found_; }
  bool held() const { return found_ && found_->content().held; }
  bool held_by(const std::string& owner) const { return held() && found_->content().owner == owner; }
  // When a lease that is not renewed is over: an instant of Clock::monotonic().
  nanoseconds over_at() const {
    const auto& ttl = found_->content().ttl;
    return ttl && *ttl < kLongest ? since_ + *ttl : nanoseconds::max();
  }
  // Somebody has it, as far as can be told at `now`.
  bool held_at(nanoseconds now) const { return held() && now < over_at(); }

 private:
  static constexpr std::chrono::milliseconds kLongest = std::chrono::hours{24 * 365 * 100};  // longer is as good as never

  std::optional<Found> found_;
  nanoseconds since_{};
};

}  // namespace sherlock::addons
