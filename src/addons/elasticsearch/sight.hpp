// SPDX-License-Identifier: MIT
// What this process has seen of a lock, and since when. Elasticsearch counts no leases, and no machine's clock is trusted but our own: a lease is over when its
// document was seen, and seen unchanged for as long as it says, by us.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "addons/elasticsearch/document.hpp"

namespace sherlock::addons::elasticsearch {

class Sight {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  // `now` is an instant of Clock::monotonic() after the server answered: what it says was so at that time at the latest, and whoever wrote it counts from earlier.
  void see(std::optional<Found> found, nanoseconds now) {
    // The version alone would not do: those of an index that was made anew begin again.
    const bool same = found && found_ && found->version == found_->version && found->document.owner == found_->document.owner &&
                      found->document.fence == found_->document.fence;
    if (!same) since_ = now;
    found_ = std::move(found);
  }

  // Nothing: there was no document when we looked last, or we never looked.
  const std::optional<Found>& found() const { return found_; }
  bool held() const { return found_ && found_->document.held; }
  bool held_by(const std::string& owner) const { return held() && found_->document.owner == owner; }
  // When a lease that is not renewed is over: an instant of Clock::monotonic().
  nanoseconds over_at() const {
    const auto& ttl = found_->document.ttl;
    return ttl && *ttl < kLongest ? since_ + *ttl : nanoseconds::max();
  }
  // Somebody has it, as far as can be told at `now`.
  bool held_at(nanoseconds now) const { return held() && now < over_at(); }

 private:
  static constexpr std::chrono::milliseconds kLongest = std::chrono::hours{24 * 365 * 100};  // longer is as good as never

  std::optional<Found> found_;
  nanoseconds since_{};
};

}  // namespace sherlock::addons::elasticsearch
