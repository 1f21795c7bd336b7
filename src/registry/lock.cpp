// SPDX-License-Identifier: MIT
#include <sherlock/lock.hpp>

#include <utility>

namespace sherlock {

// The hold is this object's own; of the inner lock nothing but the hooks is used, so it never holds anything itself. The two that count,
// do_acquire and do_release, BaseLock asks of it directly.
Lock::Lock(std::string name, Options options, const Registry& from) : Lock{from.make(std::move(name), std::move(options))} {}

Lock::Lock(std::unique_ptr<BaseLock> inner) : BaseLock{inner.get()}, inner_{std::move(inner)} {}

Lock::~Lock() { let_go(); }

std::optional<Grant> Lock::do_acquire(const Claim& claim) { return inner_->do_acquire(claim); }
bool Lock::do_release(const Claim& claim) { return inner_->do_release(claim); }
bool Lock::do_renew(const Claim& claim) { return inner_->do_renew(claim); }
bool Lock::do_locked(const Claim& claim) const { return inner_->do_locked(claim); }
std::optional<Holder> Lock::do_holder(const Claim& claim) const { return inner_->do_holder(claim); }
void Lock::do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) {
  inner_->do_wait(claim, deadline, std::move(stop));
}
std::uint64_t Lock::do_acquire_at_once(std::int64_t wall, std::chrono::nanoseconds lease_ends) noexcept {
  return inner_->do_acquire_at_once(wall, lease_ends);
}
bool Lock::do_release_at_once(std::uint64_t fence, std::int64_t wall) noexcept {
  return inner_->do_release_at_once(fence, wall);
}
std::vector<int> Lock::do_inheritable(const Claim& claim) const { return inner_->do_inheritable(claim); }

}  // namespace sherlock
