// SPDX-License-Identifier: MIT
// A backend in one file: locks that live in the memory of this process. It is whole (leases, fences, holders, waiters that are woken), so
// the tests of your own program can use it in place of a real store: nothing is left behind, and every test can have a store of its own.
//
// It excludes the threads and objects of one process, nobody else. A forked child has a copy of the store, and so locks of its own.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include <sherlock/base_lock.hpp>
#include <sherlock/clock.hpp>
#include <sherlock/registry.hpp>

namespace example {

using sherlock::Claim, sherlock::Grant, sherlock::Holder;

// What the locks share. One object is one store: locks with the same key in it exclude each other.
struct MemoryStore {
  struct Entry {
    std::string name, ns, label;
    std::optional<sherlock::Owner> owner;  // who was granted last and has not released
    std::uint64_t fence = 0;               // of the last grant; 0 before the first
    std::chrono::nanoseconds ends{};       // of the lease, on the clock of Claim::now()
    std::chrono::system_clock::time_point since;
    std::uint64_t waiting = 0;
    std::condition_variable_any freed;

    bool held(std::chrono::nanoseconds now) const { return owner && now < ends; }
  };

  Entry& entry(const Claim& claim) { return entries[std::string{claim.key}]; }

  std::mutex mutex;
  std::map<std::string, Entry> entries;  // never erased, so that an Entry stays where it is while somebody waits at it
};

class MemoryLock final : public sherlock::BaseLock {
 public:
  // What the backend needs to reach its store.
  using Client = std::shared_ptr<MemoryStore>;

  // The same text is the same store.
  static Client connect(std::string_view text) {
    static auto* const stores = new std::map<std::string, Client, std::less<>>;
    static auto* const mutex = new std::mutex;
    const std::lock_guard guard{*mutex};
    const auto found = stores->find(text);
    return found != stores->end() ? found->second : stores->emplace(text, std::make_shared<MemoryStore>()).first->second;
  }

  // What it promises beyond exclusion. What is not named is not promised: here, to be fair, and to see a holder die.
  static constexpr sherlock::Traits traits{.fences = true,
                                           .wakes = true,
                                           .never = true,
                                           .scope = sherlock::Scope::process,
                                           .default_expire = sherlock::never};

  explicit MemoryLock(std::string name, sherlock::Options options = {}, Client client = connect("default"))
      : BaseLock{std::move(name), std::move(options), traits, "memory"}, store_{std::move(client)} {}

  ~MemoryLock() override { let_go(); }  // ~BaseLock can no longer reach do_release

  // Optional: every lock that was ever taken in a store.
  static std::vector<sherlock::LockInfo> list(const Client& client) {
    const std::lock_guard guard{client->mutex};
    std::vector<sherlock::LockInfo> found;
    for (const auto& [key, entry] : client->entries)
      if (entry.fence) found.push_back({.name = entry.name, .ns = entry.ns, .key = key, .holder = holder_of(entry)});
    return found;
  }

 private:
  std::optional<Grant> do_acquire(const Claim& claim) override {
    const std::lock_guard guard{store_->mutex};  // makes one step of what follows: nobody comes between the look and the taking
    MemoryStore::Entry& entry = store_->entry(claim);
    if (entry.held(claim.now())) return std::nullopt;

    const bool abandoned = entry.owner.has_value();  // nobody released it, so its lease ran out
    if (!entry.fence) entry.fence = static_cast<std::uint64_t>(sherlock::clock().wall().time_since_epoch() / std::chrono::nanoseconds{1});
    entry.name = claim.name;
    entry.ns = claim.ns;
    entry.label = claim.label;
    entry.owner = claim.owner;
    entry.ends = claim.expire.after(claim.now());
    entry.since = sherlock::clock().wall();
    return Grant{.fence = ++entry.fence, .abandoned = abandoned};
  }

  bool do_release(const Claim& claim) override {
    const std::lock_guard guard{store_->mutex};
    MemoryStore::Entry& entry = store_->entry(claim);
    if (entry.owner != claim.owner || !entry.held(claim.now())) return false;
    entry.owner.reset();
    entry.freed.notify_all();
    return true;
  }

  bool do_renew(const Claim& claim) override {
    const std::lock_guard guard{store_->mutex};
    MemoryStore::Entry& entry = store_->entry(claim);
    if (entry.owner != claim.owner || !entry.held(claim.now())) return false;
    entry.ends = claim.expire.after(claim.now());
    return true;
  }

  bool do_locked(const Claim& claim) const override {
    const std::lock_guard guard{store_->mutex};
    return store_->entry(claim).held(claim.now());
  }

  std::optional<Holder> do_holder(const Claim& claim) const override {
    const std::lock_guard guard{store_->mutex};
    return holder_of(store_->entry(claim));
  }

  void do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) override {
    std::unique_lock guard{store_->mutex};
    MemoryStore::Entry& entry = store_->entry(claim);
    const auto free = [&] { return !entry.held(sherlock::clock().boottime()); };
    // Until the deadline or the end of the lease, which are told by different clocks. An hour at most, because that can be added to any
    // instant: to wake early is allowed.
    const auto patience = std::min({deadline - sherlock::clock().monotonic(), entry.ends - sherlock::clock().boottime(),
                                    std::chrono::nanoseconds{std::chrono::hours{1}}});
    ++entry.waiting;
    entry.freed.wait_for(guard, std::move(stop), patience, free);
    --entry.waiting;
  }

  static std::optional<Holder> holder_of(const MemoryStore::Entry& entry) {
    const std::chrono::nanoseconds now = sherlock::clock().boottime();
    if (!entry.held(now)) return std::nullopt;
    Holder holder{.pid = getpid(), .label = entry.label, .since = entry.since, .fence = entry.fence, .waiting = entry.waiting};
    if (entry.ends != std::chrono::nanoseconds::max()) holder.expiry = sherlock::clock().wall() + (entry.ends - now);
    return holder;
  }

  Client store_;
};

}  // namespace example
