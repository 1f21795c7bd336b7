// SPDX-License-Identifier: MIT
// What this process has seen of a lock, and since when. The server's clock has whole seconds and may stand still with it, so it ends no lease in which somebody could
// believe: a lease is over when its item was seen, and seen unchanged for as long as it says, by us, on our own clock.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "addons/memcached/record.hpp"

namespace sherlock::addons::memcached {

class Sight {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  // `now` is an instant of Clock::monotonic() after the server answered: what it says was so at that time at the latest, and whoever wrote it counts from earlier.
  void see(std::optional<Found> found, nanoseconds now) {
    const bool same = found && found_ && found->cas == found_->cas && found->record.owner == found_->record.owner && found->record.write == found_->record.write;
    if (!same) since_ = now;
    found_ = std::move(found);
  }

  // Nothing: there was no item when we looked last, or we never looked.
  const std::optional<Found>& found() const { return found_; }
  bool held() const { return found_ && found_->record.held; }
  bool held_by(const std::string& owner) const { return held() && found_->record.owner == owner; }
  // When a lease that is not renewed is over: an instant of Clock::monotonic().
  nanoseconds over_at() const {
    const auto& ttl = found_->record.ttl;
    return ttl && *ttl < kLongest ? since_ + *ttl : nanoseconds::max();
  }
  // Somebody has it, as far as can be told at `now`.
  bool held_at(nanoseconds now) const { return held() && now < over_at(); }

 private:
  static constexpr std::chrono::milliseconds kLongest = std::chrono::hours{24 * 365 * 100};  // longer is as good as never

  std::optional<Found> found_;
  nanoseconds since_{};
};

}  // namespace sherlock::addons::memcached
