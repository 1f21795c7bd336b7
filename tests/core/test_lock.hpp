// SPDX-License-Identifier: MIT
// The smallest store there is, in memory, for one key; and a lock on it. It keeps what it was asked, and does what a test tells it to:
// fail, be slow, forget. Any number of TestLocks may share one TestStore, in any threads.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <sherlock/base_lock.hpp>
#include <sherlock/clock.hpp>

struct TestStore {
  using nanoseconds = std::chrono::nanoseconds;
  using Script = std::function<void(const sherlock::Claim&)>;

  // What happens inside a hook before its work is done: throw, turn the clock, look at the claim.
  Script on_acquire, on_release, on_renew, on_look, on_wait;

  std::atomic<int> acquires{0}, releases{0}, renews{0}, looks{0}, waits{0}, waits_stopped{0};
  std::atomic<int> busy{0}, most_busy{0};  // how many do_acquire and do_wait are in progress, and were at most

  bool taken() const {
    const std::lock_guard guard{mutex};
    return owner.has_value();
  }
  // The holder is somebody who is not in this test. He is never late.
  void take_by_stranger(sherlock::Holder facts = {}) {
    const std::lock_guard guard{mutex};
    owner = sherlock::Owner{1, ++strangers};
    ends = nanoseconds::max();
    holder = std::move(facts);
    ++fence;
  }
  void free() {
    const std::lock_guard guard{mutex};
    owner.reset();
  }

  mutable std::mutex mutex;
  std::optional<sherlock::Owner> owner;
  nanoseconds ends{};
  std::uint64_t fence = 100;
  std::uint64_t strangers = 0;
  sherlock::Holder holder;
  std::vector<sherlock::Attempt> attempts;    // only of objects that are used by one thread
  std::vector<sherlock::Owner> owners_asked;  // likewise
  bool keep_attempts = false;
};

class TestLock final : public sherlock::BaseLock {
 public:
  using BaseLock::Threads;

  static constexpr sherlock::Traits kStrong{.sees_death = true,
                                            .fences = true,
                                            .wakes = false,
                                            .fair = false,
                                            .never = true,
                                            .scope = sherlock::Scope::process,
                                            .default_expire = sherlock::never};

  explicit TestLock(TestStore& store, sherlock::Options options = {}, Threads threads = Threads::one_at_a_time, std::string name = "x",
                    const sherlock::Traits& traits = kStrong)
      : BaseLock{std::move(name), std::move(options), traits, "test", threads}, store_{store} {}
  ~TestLock() override { let_go(); }

 private:
  using Claim = sherlock::Claim;

  struct Busy {
    explicit Busy(TestStore& store) : store{store} {
      const int now = ++store.busy;
      int most = store.most_busy;
      while (now > most && !store.most_busy.compare_exchange_weak(most, now)) {
      }
    }
    ~Busy() { --store.busy; }
    TestStore& store;
  };

  std::optional<sherlock::Grant> do_acquire(const Claim& claim) override {
    const Busy busy{store_};
    ++store_.acquires;
    if (store_.on_acquire) store_.on_acquire(claim);
    const std::lock_guard guard{store_.mutex};
    if (store_.keep_attempts) {
      store_.attempts.push_back(claim.attempt);
      store_.owners_asked.push_back(claim.owner);
    }
    const bool expired = store_.owner && store_.ends != TestStore::nanoseconds::max() && claim.now() >= store_.ends;
    if (store_.owner && !expired) return std::nullopt;
    store_.owner = claim.owner;
    store_.ends = claim.expire.is_infinite() ? TestStore::nanoseconds::max() : claim.expire.after(claim.now());
    return sherlock::Grant{.fence = ++store_.fence, .abandoned = expired};
  }

  bool do_release(const Claim& claim) override {
    ++store_.releases;
    if (store_.on_release) store_.on_release(claim);
    const std::lock_guard guard{store_.mutex};
    if (store_.owner != claim.owner || store_.fence != claim.fence) return false;
    store_.owner.reset();
    return true;
  }

  bool do_renew(const Claim& claim) override {
    ++store_.renews;
    if (store_.on_renew) store_.on_renew(claim);
    const std::lock_guard guard{store_.mutex};
    if (store_.owner != claim.owner) return false;
    if (claim.expire.is_infinite()) return true;
    if (claim.now() >= store_.ends) return false;
    store_.ends = claim.expire.after(claim.now());
    return true;
  }

  bool do_locked(const Claim& claim) const override {
    ++store_.looks;
    if (store_.on_look) store_.on_look(claim);
    return store_.taken();
  }

  std::optional<sherlock::Holder> do_holder(const Claim& claim) const override {
    ++store_.looks;
    if (store_.on_look) store_.on_look(claim);
    const std::lock_guard guard{store_.mutex};
    if (!store_.owner) return std::nullopt;
    return store_.holder;
  }

  // As BaseLock's own, but watched.
  void do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) override {
    const Busy busy{store_};
    if (stop.stop_requested()) ++store_.waits_stopped;
    ++store_.waits;
    if (store_.on_wait) store_.on_wait(claim);
    sherlock::clock().sleep_until(deadline, std::move(stop));
  }

  TestStore& store_;
};

// Who sees to it that one thread is in a hook at a time: what holds, holds with either.
inline constexpr auto kBoth = {TestLock::Threads::one_at_a_time, TestLock::Threads::store_excludes};
