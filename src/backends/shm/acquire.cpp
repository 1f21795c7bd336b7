// SPDX-License-Identifier: MIT
// From a claim to a grant: one compare-and-swap of the key's word. What is written after it is for people, for the next fence, and for whoever is to
// judge whether a lease is over; if it is never written, because we die or are stopped, the hold is none the less whole.
#include <sched.h>

#include <mutex>
#include <utility>

#include "backends/shm/shm_impl.hpp"
#include "core/failure.hpp"
#include "local/expiry.hpp"
#include "local/fence.hpp"
#include "local/presence.hpp"
#include "local/steps.hpp"
#include "posix/clock.hpp"
#include "posix/process.hpp"

namespace sherlock {

using local::Entry;
using local::GateState;
using local::Taking;
namespace gate = local::gate;

ShmLock::Impl::Impl(const std::string& key, ShmClient client, std::string label)
    : process_{posix::process_token()}, client_{std::move(client)}, hash_{local::KeyHash::of(key)}, label_{std::move(label)} {
  shm::ShmStore::open(client_, posix::Missing::create);
}

// --------------------------------------------------------------------------------------------------------------- binding

const ShmLock::Binding& ShmLock::Impl::binding(const Claim& claim) {
  const Binding* b = binding_.load(std::memory_order_acquire);
  return b ? *b : rebind(claim);
}

const ShmLock::Binding& ShmLock::Impl::rebind(const Claim& claim) {
  const std::lock_guard guard{binding_mutex_};
  std::shared_ptr<shm::ShmStore> store = shm::ShmStore::open(client_, posix::Missing::create);
  const local::Found found = store->table().find_or_make(hash_, claim.ns, claim.name);
  const Binding* present = binding_.load(std::memory_order_relaxed);
  if (present && present->store == store && present->found.tenure == found.tenure && present->found.entry == found.entry) return *present;
  const local::Presence& presence = store->companion().presence();
  const std::uint64_t held_by_us = gate::make(GateState::held, presence.me(), 0);
  const local::LookTimer* const look = &store->look();
  bindings_.push_back(std::make_unique<const Binding>(
      Binding{found, held_by_us, look, &presence.life(presence.me()), label_ != posix::program_name(), std::move(store)}));
  binding_.store(bindings_.back().get(), std::memory_order_release);
  return *bindings_.back();
}

// -------------------------------------------------------------------------------------------------------------- the word

// From `word`, which may be taken, to ours. Refused: it is another word by now.
[[gnu::always_inline]] inline ShmLock::Impl::Outcome ShmLock::Impl::swap(const Binding& b, std::uint64_t word, std::uint64_t flags,
                                                                         Taken& taken) {
  Entry& entry = b.entry();
  // The fence before the swap: while the word stays as it is, no later one can have been recorded.
  const std::uint32_t tag = gate::tag(word + 1);
  taken.recorded = entry.fence.load(std::memory_order_relaxed);
  taken.fence = local::fence_of(taken.recorded, tag);
  const std::uint64_t mine = b.held_by_us | tag;
  if (!entry.word.compare_exchange_strong(word, mine | flags)) return Outcome::refused;
  SHERLOCK_STEP("shm grant: the word is ours");
  if (b.found.current()) [[likely]]
    return Outcome::granted;
  local::pass_on(entry, mine);
  return Outcome::moved;
}

// What a grant leaves behind: for the next fence, for whoever judges the lease, and for people. Returns the fence. What would change nothing is not stored.
[[gnu::always_inline]] inline std::uint64_t ShmLock::Impl::record(const Binding& b, const Taken& taken, std::chrono::nanoseconds lease_ends,
                                                                  std::int64_t wall) {
  Entry& entry = b.entry();
  if (local::lags(taken.recorded, taken.fence)) [[unlikely]]
    local::raise_fence(entry.fence, taken.fence);
  // A record of "never" is one for every tag.
  if (lease_ends.count() != 0 || entry.expiry.load(std::memory_order_relaxed) >> 16 != 0) [[unlikely]]
    entry.expiry.store(local::expiry_record(lease_ends, static_cast<std::uint32_t>(taken.fence)), std::memory_order_release);
  SHERLOCK_STEP("shm grant: the expiry is recorded");
  const auto since = static_cast<std::uint64_t>(wall);
  if (entry.since.load(std::memory_order_relaxed) != since) entry.since.store(since, std::memory_order_relaxed);
  if (b.own_label || (entry.marks.load(std::memory_order_relaxed) & local::kOwnLabel) != 0 ||
      !local::Presence::watched(b.life->load(std::memory_order_relaxed))) [[unlikely]]
    return record_more(b, taken.fence);
  return taken.fence;
}

[[gnu::noinline, gnu::cold]] std::uint64_t ShmLock::Impl::record_more(const Binding& b, std::uint64_t fence) noexcept {
  if (b.own_label || (b.entry().marks.load(std::memory_order_relaxed) & local::kOwnLabel) != 0) record_label(b);
  b.presence().rearm();
  return fence;
}

// For people: what goes wrong with it is no reason not to have the lock.
void ShmLock::Impl::record_label(const Binding& b) noexcept try {
  if (!b.own_label) {
    b.store->table().write_default_label(b.entry());
    b.entry().marks.store(0);
  } else {
    b.entry().marks.store(local::kOwnLabel);
    b.store->table().write_label(b.entry(), label_);
  }
} catch (...) {
}

// Where the object had its last hold; it has its entry there still, or the tenure says so.
[[gnu::noinline]] std::uint64_t ShmLock::Impl::acquire_and_record(const ShmLock& lock, std::int64_t wall, std::chrono::nanoseconds lease_ends) noexcept {
  const Binding* const b = lock.quick_.load(std::memory_order_acquire);
  if (!b || b->look->is_due(wall)) return 0;
  const std::uint64_t word = b->entry().word.load();
  Taken taken;
  if (gate::state(word) != GateState::free || swap(*b, word, gate::flags(word), taken) != Outcome::granted) return 0;
  return lock.impl_.load(std::memory_order_acquire)->record(*b, taken, lease_ends, wall);
}

// The same where there is nothing to record. That is looked at between the word and its swap, with which nothing after it overlaps: only holders change it,
// and if there was one, the swap is refused. In few registers, for one that has to be stored first costs more than all these questions.
std::uint64_t ShmLock::do_acquire_at_once(std::int64_t wall, std::chrono::nanoseconds lease_ends) noexcept {
  const Binding* const b = quick_.load(std::memory_order_acquire);
  if (!b || b->look->is_due(wall) || lease_ends.count() != 0 || b->own_label) [[unlikely]]
    return Impl::acquire_and_record(*this, wall, lease_ends);
  Entry& entry = b->entry();
  std::uint64_t word = entry.word.load();
  const std::uint64_t recorded = entry.fence.load(std::memory_order_relaxed), fence = local::fence_of(recorded, gate::tag(word + 1));
  if (gate::state(word) != GateState::free || local::lags(recorded, fence) ||
      entry.since.load(std::memory_order_relaxed) != static_cast<std::uint64_t>(wall) ||
      entry.expiry.load(std::memory_order_relaxed) >> 16 != 0 || (entry.marks.load(std::memory_order_relaxed) & local::kOwnLabel) != 0 ||
      !local::Presence::watched(b->life->load(std::memory_order_relaxed))) [[unlikely]]
    return Impl::acquire_and_record(*this, wall, lease_ends);
  if (!entry.word.compare_exchange_strong(word, b->held_by_us | gate::tag(fence) | gate::flags(word))) [[unlikely]]
    return 0;
  SHERLOCK_STEP("shm grant: the word is ours");
  if (!b->found.current()) [[unlikely]]
    return local::pass_on(entry, b->held_by_us | gate::tag(fence)), 0;
  return fence;
}

std::optional<Grant> ShmLock::Impl::acquire(const Claim& claim) {
  const bool waits = claim.attempt == Attempt::waiting || claim.attempt == Attempt::last;
  const Binding* at = &binding(claim);
  if (!at->store->current()) at = &rebind(claim);
  for (int round = 0; round < 100; ++round) {
    if (waits && waits_at_ && waits_at_ != at) give_up_place();
    Grant grant{};
    Taken taken{};
    switch (take(claim, *at, grant, taken)) {
      case Outcome::granted:
        grant.fence = record(*at, taken, claim.expire.is_infinite() ? std::chrono::nanoseconds{} : claim.expire.after(claim.now()),
                             posix::coarse_wall());
        held_at_.store(at, std::memory_order_release);
        return grant;
      case Outcome::refused:
        if (claim.attempt == Attempt::last) give_up_place();
        return std::nullopt;
      case Outcome::moved:
        if (waits) give_up_place();
        at = &rebind(claim);
    }
  }
  throw detail::Failure{Errc::busy, at->store->companion().path() + " is being removed or cleaned again and again"};
}

ShmLock::Impl::Outcome ShmLock::Impl::take(const Claim& claim, const Binding& b, Grant& grant, Taken& taken) {
  Entry& entry = b.entry();
  const local::Presence& presence = b.presence();
  const bool waits = claim.attempt == Attempt::waiting || claim.attempt == Attempt::last;
  const auto precedence = claim.attempt == Attempt::once ? local::Precedence::ignored : local::Precedence::respected;
  for (int patience = 64;;) {
    const std::uint64_t word = entry.word.load();
    const auto boottime = [&] { return claim.now(); };
    const Taking from = waits ? waiter_.judge(presence, entry, word, boottime) : local::judge(presence, entry, word, precedence, boottime);
    if (from == Taking::no) {
      if (!b.found.current()) return Outcome::moved;
      // The short section of a clean-up: it may end in "free".
      if (claim.attempt != Attempt::once || gate::state(word) != GateState::acquiring || patience-- == 0) return Outcome::refused;
      sched_yield();
      continue;
    }
    if (from == Taking::expired && !mark_over(entry, word, claim.now())) continue;
    if (!b.found.current()) return Outcome::moved;

    const std::uint64_t flags = waits ? waiter_.flags_after_taking(entry, word) : gate::flags(word);
    const Outcome outcome = swap(b, word, flags, taken);
    if (outcome == Outcome::refused) continue;
    if (outcome == Outcome::moved) return outcome;
    grant.abandoned = from == Taking::expired || (from == Taking::dead && gate::state(word) == GateState::held);
    if (waits) {
      waiter_.took(entry, word);
      waits_at_ = nullptr;
    }
    return Outcome::granted;
  }
}

// The expiry decides between whoever takes a lease over and its holder's renewal, which is a swap of the same record: once it says "over", which is less
// than any renewal, no renewal finds what it expects. False: it was renewed, or is another hold's.
bool ShmLock::Impl::mark_over(Entry& entry, std::uint64_t word, std::chrono::nanoseconds boottime) {
  std::uint64_t record = entry.expiry.load();
  if (!local::expired(record, word, boottime)) return false;
  const bool marked = entry.expiry.compare_exchange_strong(record, local::over(record));
  SHERLOCK_STEP("shm take-over: the lease is marked as over");
  return marked;
}

// --------------------------------------------------------------------------------------------------------------- waiting

void ShmLock::Impl::wait(const Claim& claim, std::chrono::nanoseconds until, std::stop_token stop) {
  if (stop.stop_requested()) return give_up_place();
  const Binding& b = binding(claim);
  if (waits_at_ && waits_at_ != &b) give_up_place();
  waits_at_ = &b;
  b.presence().rearm();
  waiter_.wait(b.store->companion(), b.found, until, std::move(stop));
}

void ShmLock::Impl::give_up_place() {
  if (!waits_at_) return;
  waiter_.leave(waits_at_->found);
  waits_at_ = nullptr;
}

}  // namespace sherlock
