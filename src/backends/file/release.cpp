// SPDX-License-Identifier: MIT
// The ends of a hold, and its renewal.
#include <cerrno>
#include <mutex>

#include "backends/file/file_impl.hpp"
#include "local/parking.hpp"
#include "local/steps.hpp"
#include "local/word.hpp"

namespace sherlock {

using local::GateState;
namespace gate = local::gate;

// Whether what we hold is what a newcomer would find.
bool FileLock::Impl::still_there(const Binding& b) {
  if (!file_look_.due()) return true;
  if (file_.linked() && file_.at_path(*b.store) && b.presence().intact()) return true;
  file_look_.make_due();  // who asks next is told the same
  return false;
}

bool FileLock::Impl::release(const Claim& claim) {
  SHERLOCK_STEP("release: called");
  const bool lease = !claim.expire.is_infinite();
  std::unique_lock guard{lease_mutex_, std::defer_lock};
  if (lease) guard.lock();
  std::uint64_t fence = claim.fence;
  if (!held_fence_.compare_exchange_strong(fence, 0)) return false;  // this hold was let go already
  SHERLOCK_STEP("release: begun");
  const Binding& b = *held_at_.load(std::memory_order_relaxed);
  local::Entry& entry = b.entry();

  // With a lease the gate may be taken from us; from here on it cannot, so that nobody comes between its end and the unlock.
  const std::uint64_t held = held_word_.load(std::memory_order_relaxed);
  std::uint64_t mine = held;
  bool ours = true;
  local::Heir heir = local::Heir::not_called;
  std::uint32_t counted_in = 0;
  if (lease) {
    std::uint64_t word = entry.word.load();
    const std::uint64_t ending = gate::with(mine, GateState::acquiring);
    while ((ours = gate::core(word) == mine) && !entry.word.compare_exchange_weak(word, ending | gate::flags(word))) {
    }
    if (ours)
      mine = ending;
    else  // whoever took it counted us as a straggler; as long as we have the file, nobody has it alone, so this is the round
      counted_in = local::stragglers::round(entry);
    SHERLOCK_STEP("release: the gate is closed");
  } else if (entry.word.load(std::memory_order_relaxed) & gate::kAsleep) [[unlikely]] {
    heir = local::call_heir(entry, held);
    if (heir == local::Heir::called) mine = gate::with(held, GateState::acquiring);
  }
  bool there = false, unlocked = false;
  try {
    there = still_there(b);
    SHERLOCK_STEP("release: looked");
    // The file before the gate: who is let through the gate must find the file unlocked. A descriptor that somebody closed may be a
    // stranger's by now.
    unlocked = (there || file_.intact()) && file_.unlock();
  } catch (...) {
    if (ours && mine != held) {
      std::uint64_t word = entry.word.load();
      while (gate::core(word) == mine && !entry.word.compare_exchange_weak(word, held | gate::flags(word))) {
      }
    }
    held_fence_.store(claim.fence);
    throw;
  }
  SHERLOCK_STEP("release: the file is unlocked");
  if (!unlocked || !there) file_.close();
  if (!ours) local::stragglers::take_back(entry, counted_in);  // not before: a successor may share the file only as long as we are counted
  SHERLOCK_STEP("release: the straggler is counted out");
  if (ours) ours = local::pass_on(entry, mine, heir);
  return ours && unlocked && there;
}

bool FileLock::Impl::renew(const Claim& claim) {
  std::unique_lock guard{lease_mutex_, std::defer_lock};
  const bool lease = !claim.expire.is_infinite();
  if (lease) guard.lock();
  if (held_fence_.load() != claim.fence) return false;
  const Binding& b = *held_at_.load(std::memory_order_relaxed);
  const std::uint64_t held = held_word_.load(std::memory_order_relaxed);
  local::Entry& entry = b.entry();
  {
    const auto kept = file_.keep();
    if (!still_there(b)) return false;
  }
  SHERLOCK_STEP("renew: looked");
  std::uint64_t word = entry.word.load();
  if (!lease) return gate::core(word) == held;

  // The record first, for the next tag, then the word: who judged us by the old record fails on the word, and the new record counts for
  // both words meanwhile.
  const std::uint32_t tag = (gate::tag(held) + 1) & static_cast<std::uint32_t>(gate::kTagMask);
  const std::uint64_t renewed = gate::make(GateState::held, b.presence().me(), tag);
  const std::uint64_t expiry = local::expiry_record(claim, tag);
  std::uint64_t before = held_expiry_.load(std::memory_order_relaxed);
  if (!entry.expiry.compare_exchange_strong(before, expiry)) return false;
  SHERLOCK_STEP("renew: recorded");
  do {
    if (gate::core(word) != held) return false;
  } while (!entry.word.compare_exchange_weak(word, renewed | gate::flags(word)));
  SHERLOCK_STEP("renew: done");
  held_word_.store(renewed, std::memory_order_relaxed);
  held_expiry_.store(expiry, std::memory_order_relaxed);
  return true;
}

std::vector<int> FileLock::Impl::inheritable() const {
  if (held_fence_.load() == 0) return {};
  const auto kept = file_.keep();
  return {held_at_.load(std::memory_order_relaxed)->presence().descriptor(), file_.descriptor()};
}

}  // namespace sherlock
