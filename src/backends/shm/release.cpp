// SPDX-License-Identifier: MIT
// The ends of a hold, and its renewal. Each is a compare-and-swap from exactly what this hold wrote, so a late one touches nothing of a successor's.
#include "backends/shm/shm_impl.hpp"
#include "local/expiry.hpp"
#include "local/fence.hpp"
#include "local/presence.hpp"
#include "local/steps.hpp"

namespace sherlock {

using local::GateState;
namespace gate = local::gate;

namespace {

// A word's tag comes again after 134 million grants, which one process can make in the seconds that another hold of its own is late. The fence that is
// recorded meanwhile tells the rounds apart: it never is above that of the present hold, and never as much as a round below.
bool of_this_round(const local::Entry& entry, std::uint64_t fence) {
  return local::fence_of(entry.fence.load(), gate::tag(fence)) == fence;
}

}  // namespace

bool ShmLock::do_release_at_once(std::uint64_t fence, std::int64_t wall) noexcept {
  const Binding* const b = quick_.load(std::memory_order_relaxed);
  if (b->look->is_due(wall)) [[unlikely]]
    return false;
  const std::uint64_t mine = b->held_by_us | gate::tag(fence);
  std::uint64_t word = mine;
  return b->entry().word.compare_exchange_strong(word,
                                                 gate::with(mine, GateState::free));  // refused: somebody waits, or it is not ours any more
}

bool ShmLock::Impl::release(const Claim& claim) {
  const Binding* const b = held_at_.load(std::memory_order_relaxed);
  if (!b) return false;
  const bool there = b->store->current();
  return of_this_round(b->entry(), claim.fence) && local::pass_on(b->entry(), b->held_by_us | gate::tag(claim.fence)) && there;
}

bool ShmLock::Impl::renew(const Claim& claim) {
  const Binding* const b = held_at_.load(std::memory_order_relaxed);
  if (!b || !b->store->current()) return false;
  local::Entry& entry = b->entry();
  if (!of_this_round(entry, claim.fence)) return false;
  const std::uint64_t mine = b->held_by_us | gate::tag(claim.fence);
  const auto ours = [&] { return gate::core(entry.word.load()) == mine; };
  if (claim.expire.is_infinite()) return ours();

  const std::uint64_t renewed = local::expiry_record(claim, static_cast<std::uint32_t>(claim.fence));
  for (;;) {
    std::uint64_t record = entry.expiry.load();
    // In this order: a record that was read while the word was ours is ours.
    if (!ours() || static_cast<std::uint16_t>(record) != static_cast<std::uint16_t>(renewed)) return false;
    if (local::expired(record, mine, claim.now())) return false;
    if (record >> 16 >= renewed >> 16) return true;  // another thread of this object was here, with a later time
    SHERLOCK_STEP("shm renew: about to prolong");
    // Whoever is to take the lease over swaps this very record before it touches the word.
    if (entry.expiry.compare_exchange_strong(record, renewed)) return ours();
  }
}

std::vector<int> ShmLock::Impl::inheritable() const {
  const Binding* const b = held_at_.load(std::memory_order_relaxed);
  if (!b) return {};
  return {b->presence().descriptor()};
}

}  // namespace sherlock
