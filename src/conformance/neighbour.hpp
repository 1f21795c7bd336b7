// SPDX-License-Identifier: MIT
// A backend that is not the subject's, to be used beside it: one lock in memory, without leases.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include <sherlock/base_lock.hpp>

namespace sherlock::conformance {

class Neighbour final : public BaseLock {
 public:
  struct Place {
    std::mutex mutex;
    std::optional<Owner> owner;
  };

  explicit Neighbour(std::shared_ptr<Place> place)
      : BaseLock{"neighbour",
                 {.ns = "", .expire = never, .timeout = std::chrono::seconds{10}, .retry_interval = std::chrono::milliseconds{1}},
                 {.never = true, .scope = Scope::process},
                 "neighbour"},
        place_{std::move(place)} {}
  ~Neighbour() override { let_go(); }

 private:
  std::optional<Grant> do_acquire(const Claim& claim) override {
    const std::lock_guard guard{place_->mutex};
    if (place_->owner) return std::nullopt;
    place_->owner = claim.owner;
    return Grant{};
  }
  bool do_release(const Claim& claim) override {
    const std::lock_guard guard{place_->mutex};
    if (place_->owner != claim.owner) return false;
    place_->owner.reset();
    return true;
  }
  bool do_renew(const Claim& claim) override {
    const std::lock_guard guard{place_->mutex};
    return place_->owner == claim.owner;
  }
  bool do_locked(const Claim&) const override {
    const std::lock_guard guard{place_->mutex};
    return place_->owner.has_value();
  }
  std::optional<Holder> do_holder(const Claim&) const override {
    const std::lock_guard guard{place_->mutex};
    return place_->owner ? std::optional{Holder{}} : std::nullopt;
  }

  const std::shared_ptr<Place> place_;
};

}  // namespace sherlock::conformance
