// SPDX-License-Identifier: MIT
// What a ShmLock is behind its face. The word of the key decides, in one compare-and-swap each for acquire, release and take-over: it carries the owner
// and the low bits of the fence, so that nothing has to be written after it for the hold to be a hold. The steps and why they stand in this
// order: docs/backends/shm.md.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <sherlock/shm_lock.hpp>

#include "backends/shm/shm_store.hpp"
#include "local/parking.hpp"
#include "local/table.hpp"
#include "local/word.hpp"

namespace sherlock {

// The segment and the entry that the key has there. Never changes; another one takes its place when the segment was replaced or
// the entry was given to another key.
struct __attribute__((visibility("hidden"))) ShmLock::Binding {
  local::Found found;
  std::uint64_t held_by_us;  // a gate word without its tag
  // What the short ways need of others, at one step instead of four: after a compare-and-swap each costs its full time.
  const local::LookTimer* look;
  const local::Word* life;  // our life word
  bool own_label;           // not the program's name, which stands in the process's slot
  std::shared_ptr<shm::ShmStore> store;
  local::Entry& entry() const { return *found.entry; }
  const local::Presence& presence() const { return store->companion().presence(); }
};

class __attribute__((visibility("hidden"))) ShmLock::Impl {
 public:
  Impl(const std::string& key, ShmClient client, std::string label);

  // The process that made it: a forked child inherits its copy.
  std::uint64_t process() const { return process_; }
  const ShmClient& client() const { return client_; }

  static std::uint64_t acquire_and_record(const ShmLock& lock, std::int64_t wall, std::chrono::nanoseconds lease_ends) noexcept;
  std::optional<Grant> acquire(const Claim& claim);
  // Where the last hold of this object is or was; null: there was none.
  const Binding* held_at() const { return held_at_.load(std::memory_order_relaxed); }
  void wait(const Claim& claim, std::chrono::nanoseconds until, std::stop_token stop);
  bool release(const Claim& claim);
  bool renew(const Claim& claim);
  bool locked(const Claim& claim) const;
  std::optional<Holder> holder(const Claim& claim) const;
  std::vector<int> inheritable() const;

 private:
  enum class Outcome { granted, refused, moved };  // moved: the entry is another key's by now

  const Binding& binding(const Claim& claim);
  const Binding& rebind(const Claim& claim);

  struct Taken {
    std::uint64_t fence, recorded;  // recorded: before
  };
  static Outcome swap(const Binding& b, std::uint64_t word, std::uint64_t flags, Taken& taken);
  std::uint64_t record(const Binding& b, const Taken& taken, std::chrono::nanoseconds lease_ends, std::int64_t wall);
  std::uint64_t record_more(const Binding& b, std::uint64_t fence) noexcept;
  void record_label(const Binding& b) noexcept;
  Outcome take(const Claim& claim, const Binding& b, Grant& grant, Taken& taken);
  static bool mark_over(local::Entry& entry, std::uint64_t word, std::chrono::nanoseconds boottime);
  void give_up_place();

  const std::uint64_t process_;
  const ShmClient client_;
  const local::KeyHash hash_;
  const std::string label_;

  mutable std::mutex binding_mutex_;
  std::vector<std::unique_ptr<const Binding>> bindings_;
  std::atomic<const Binding*> binding_{nullptr};
  std::atomic<const Binding*> held_at_{nullptr};  // of whoever holds for this object; null: nobody ever did

  // Of the one thread that waits.
  local::Waiter waiter_;
  const Binding* waits_at_ = nullptr;
};

}  // namespace sherlock
