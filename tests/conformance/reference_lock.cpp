// SPDX-License-Identifier: MIT
#include "reference_lock.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

#include <sherlock/clock.hpp>

namespace reference {

namespace {

Waiter* place_of(Entry& entry, const Owner& owner) {
  Waiter* const end = entry.queue + entry.waiting;
  Waiter* const found = std::find_if(entry.queue, end, [&](const Waiter& waiter) { return waiter.who == owner; });
  return found == end ? nullptr : found;
}

void leave(Entry& entry, const Owner& owner) {
  Waiter* const place = place_of(entry, owner);
  if (!place) return;
  std::move(place + 1, entry.queue + entry.waiting, place);
  --entry.waiting;
}

void join(Entry& entry, const Owner& owner, const Member& me) {
  if (!place_of(entry, owner) && entry.waiting < std::size(entry.queue)) entry.queue[entry.waiting++] = {owner, me};
}

}  // namespace

bool ReferenceLock::is_over(const Entry& entry, const Claim& claim) const {
  return !store().alive(entry.holder) || claim.now().count() >= entry.ends;
}

// Whoever waits is served in turn; a mere try takes what is free.
bool ReferenceLock::may_take(const Entry& entry, const Claim& claim) const {
  if (entry.held && !is_over(entry, claim)) return false;
  if (claim.attempt == Attempt::once) return true;
  for (std::uint32_t i = 0; i < entry.waiting; ++i) {
    if (entry.queue[i].who == claim.owner) return true;
    if (store().alive(entry.queue[i].member)) return false;
  }
  return true;
}

void ReferenceLock::take(Entry& entry, const Claim& claim) {
  entry.abandoned = entry.held;
  entry.held = true;
  entry.owner = claim.owner;
  entry.holder = store().me();
  entry.ends = claim.expire.after(claim.now()).count();
  entry.length = claim.expire.ns().count();
  if (entry.fence == 0) entry.fence = static_cast<std::uint64_t>(sherlock::clock().wall().time_since_epoch().count());
  ++entry.fence;
  entry.label_size = static_cast<std::uint32_t>(claim.label.size());
  std::memcpy(entry.label, claim.label.data(), claim.label.size());
}

std::optional<Grant> ReferenceLock::do_acquire(const Claim& claim) {
  const Store::Inside inside{store()};
  Entry& entry = this->entry(claim);
  const bool granted = may_take(entry, claim);
  if (granted || claim.attempt == Attempt::last) leave(entry, claim.owner);
  if (!granted) return std::nullopt;
  take(entry, claim);
  return Grant{.fence = entry.fence, .abandoned = entry.abandoned};
}

bool ReferenceLock::do_release(const Claim& claim) {
  const Store::Inside inside{store()};
  Entry& entry = this->entry(claim);
  if (!is_mine(entry, claim)) return false;
  entry.held = false;
  return true;
}

bool ReferenceLock::do_renew(const Claim& claim) {
  const Store::Inside inside{store()};
  Entry& entry = this->entry(claim);
  if (!is_mine(entry, claim)) return false;
  entry.ends = claim.expire.after(claim.now()).count();
  return true;
}

bool ReferenceLock::do_locked(const Claim& claim) const {
  const Store::Inside inside{store()};
  const Entry& entry = this->entry(claim);
  return entry.held && !is_over(entry, claim);
}

std::optional<Holder> ReferenceLock::do_holder(const Claim& claim) const {
  const Store::Inside inside{store()};
  const Entry& entry = this->entry(claim);
  if (!entry.held || is_over(entry, claim)) return std::nullopt;
  return Holder{.pid = entry.holder.pid, .label = std::string{entry.label, entry.label_size}, .fence = entry.fence};
}

void ReferenceLock::do_wait(const Claim& claim, nanoseconds deadline, std::stop_token stop) {
  {
    const Store::Inside inside{store()};
    if (stop.stop_requested()) return leave(entry(claim), claim.owner);
    join(entry(claim), claim.owner, store().me());
  }
  while (!stop.stop_requested() && sherlock::clock().monotonic() < deadline) {
    {
      const Store::Inside inside{store()};
      claim.refresh_now();
      if (may_take(entry(claim), claim)) return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds{500});
  }
}

void ReferenceLock::free(const std::string& key) const {
  const Store::Inside inside{store()};
  store().entry(key).held = false;
}

std::optional<Grant> WeakLock::do_acquire(const Claim& claim) {
  auto grant = ReferenceLock::do_acquire(claim);
  if (grant) grant->fence = 0;
  return grant;
}

void WeakLock::do_wait(const Claim&, nanoseconds deadline, std::stop_token stop) { sherlock::clock().sleep_until(deadline, std::move(stop)); }

}  // namespace reference
