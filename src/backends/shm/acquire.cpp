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
    : process_{posix::process_token()}, client_{std::move(client)}, hash_{local::KeyHash::of(key)},
      own_label_{label != posix::program_name()}, label_{std::move(label)} {
  shm::ShmStore::open(client_, posix::Missing::create);
}

// --------------------------------------------------------------------------------------------------------------- binding

const ShmLock::Impl::Binding& ShmLock::Impl::binding(const Claim& claim) {
  const Binding* b = binding_.load(std::memory_order_acquire);
  return b ? *b : rebind(claim);
}

const ShmLock::Impl::Binding& ShmLock::Impl::rebind(const Claim& claim) {
  const std::lock_guard guard{binding_mutex_};
  std::shared_ptr<shm::ShmStore> store = shm::ShmStore::open(client_, posix::Missing::create);
  const local::Found found = store->table().find_or_make(hash_, claim.ns, claim.name);
  const Binding* present = binding_.load(std::memory_order_relaxed);
  if (present && present->store == store && present->found.tenure == found.tenure && present->found.entry == found.entry) return *present;
  const std::uint64_t held_by_us = gate::make(GateState::held, store->companion().presence().me(), 0);
  bindings_.push_back(std::make_unique<const Binding>(Binding{std::move(store), found, held_by_us}));
  binding_.store(bindings_.back().get(), std::memory_order_release);
  return *bindings_.back();
}

// -------------------------------------------------------------------------------------------------------------- the word

// From `word`, which may be taken, to ours. Refused: it is another word by now.
[[gnu::always_inline]] inline ShmLock::Impl::Outcome ShmLock::Impl::swap(const Binding& b, std::uint64_t word, std::uint64_t flags, std::uint64_t& fence) {
  Entry& entry = b.entry();
  // The fence before the swap: while the word stays as it is, no later one can have been recorded.
  const std::uint32_t tag = gate::tag(word + 1);
  fence = local::fence_of(entry.fence.load(std::memory_order_relaxed), tag);
  const std::uint64_t mine = b.held_by_us | tag;
  if (!entry.word.compare_exchange_strong(word, mine | flags)) return Outcome::refused;
  SHERLOCK_STEP("shm grant: the word is ours");
  if (b.found.current()) [[likely]]
    return Outcome::granted;
  local::pass_on(entry, mine);
  return Outcome::moved;
}

// What a grant leaves behind: for the next fence, for whoever judges the lease, and for people.
[[gnu::always_inline]] inline void ShmLock::Impl::record(const Binding& b, std::uint64_t fence, std::chrono::nanoseconds lease_ends, std::int64_t wall) {
  Entry& entry = b.entry();
  const std::uint64_t expiry = local::expiry_record(lease_ends, static_cast<std::uint32_t>(fence));
  if (local::lags(entry.fence.load(std::memory_order_relaxed), fence)) [[unlikely]]
    local::raise_fence(entry.fence, fence);
  entry.expiry.store(expiry, std::memory_order_release);
  SHERLOCK_STEP("shm grant: the expiry is recorded");
  entry.since.store(static_cast<std::uint64_t>(wall), std::memory_order_relaxed);
  if (own_label_ || (entry.marks.load(std::memory_order_relaxed) & local::kOwnLabel) != 0) [[unlikely]]
    record_label(b);
  if (held_at_.load(std::memory_order_relaxed) != &b) [[unlikely]]
    held_at_.store(&b, std::memory_order_relaxed);
  b.presence().rearm();
}

// For people: what goes wrong with it is no reason not to have the lock.
void ShmLock::Impl::record_label(const Binding& b) noexcept try {
  if (!own_label_) {
    b.store->table().write_default_label(b.entry());
    b.entry().marks.store(0);
  } else {
    b.entry().marks.store(local::kOwnLabel);
    b.store->table().write_label(b.entry(), label_);
  }
} catch (...) {
}

std::uint64_t ShmLock::Impl::acquire_at_once(std::int64_t wall, std::chrono::nanoseconds lease_ends) {
  const Binding* const b = binding_.load(std::memory_order_acquire);
  if (!b || b->store->look_is_due(wall)) [[unlikely]]
    return 0;
  const std::uint64_t word = b->entry().word.load();
  std::uint64_t fence = 0;
  if (gate::state(word) != GateState::free || swap(*b, word, gate::flags(word), fence) != Outcome::granted) return 0;
  record(*b, fence, lease_ends, wall);
  return fence;
}

std::optional<Grant> ShmLock::Impl::acquire(const Claim& claim) {
  const bool waits = claim.attempt == Attempt::waiting || claim.attempt == Attempt::last;
  const Binding* at = &binding(claim);
  if (!at->store->current()) at = &rebind(claim);
  for (int round = 0; round < 100; ++round) {
    if (waits && waits_at_ && waits_at_ != at) give_up_place();
    Grant grant{};
    switch (take(claim, *at, grant)) {
      case Outcome::granted:
        record(*at, grant.fence, claim.expire.is_infinite() ? std::chrono::nanoseconds{} : claim.expire.after(claim.now()), posix::coarse_wall());
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

ShmLock::Impl::Outcome ShmLock::Impl::take(const Claim& claim, const Binding& b, Grant& grant) {
  Entry& entry = b.entry();
  const local::Presence& presence = b.presence();
  const bool waits = claim.attempt == Attempt::waiting || claim.attempt == Attempt::last;
  const auto precedence = claim.attempt == Attempt::once ? local::Precedence::ignored : local::Precedence::respected;
  for (int patience = 64;;) {
    const std::uint64_t word = entry.word.load();
    const Taking from = waits ? waiter_.judge(presence, entry, word, claim.now())
                              : local::judge(presence, entry, word, precedence, [&] { return claim.now(); });
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
    const Outcome outcome = swap(b, word, flags, grant.fence);
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
