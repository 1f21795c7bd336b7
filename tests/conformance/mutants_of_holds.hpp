// SPDX-License-Identifier: MIT
// Mutants that are wrong about who holds a lock. Each is the reference with one mistake, of a kind that people make.
#pragma once

#include <fstream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include <unistd.h>

#include "reference_lock.hpp"

namespace reference {

// ---- exclusion

struct GrantsEveryTry : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    if (auto grant = ReferenceLock::do_acquire(claim)) return grant;
    return claim.attempt == Attempt::once ? std::optional{Grant{.fence = 1}} : std::nullopt;
  }
};

// Looks in one step, and takes in another.
struct LooksThenTakes : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    if (do_locked(claim)) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
    const Store::Inside inside{store()};
    take(entry(claim), claim);
    return Grant{.fence = entry(claim).fence};
  }
  void do_wait(const Claim&, nanoseconds, std::stop_token) override { std::this_thread::sleep_for(std::chrono::milliseconds{1}); }
};

// Knows its objects, not who asks.
struct Reentrant : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool may_take(const Entry& entry, const Claim& claim) const override {
    const bool same_object = entry.owner.process == claim.owner.process && entry.owner.hold >> 32 == claim.owner.hold >> 32;
    return ReferenceLock::may_take(entry, claim) || (entry.held && same_object && claim.attempt != Attempt::once);
  }
};

struct IgnoresNamespaces : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::string key_of(const Claim& claim) const override { return std::string{claim.name}; }
};

// One connection for the process, and a waiter keeps it to itself.
struct WaitsAtTheOnlyDoor : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool do_release(const Claim& claim) override {
    const std::lock_guard guard{door()};
    return ReferenceLock::do_release(claim);
  }
  void do_wait(const Claim& claim, nanoseconds deadline, std::stop_token stop) override {
    const std::lock_guard guard{door()};
    ReferenceLock::do_wait(claim, deadline, std::move(stop));
  }
  static std::mutex& door() {
    static std::mutex mutex;
    return mutex;
  }
};

// ---- ownership

struct DestructorFrees : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  ~DestructorFrees() override { free(key()); }
};

// Sends a release once more, in case it was lost, without saying whose.
struct ReleasesAgain : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool do_release(const Claim& claim) override {
    released = true;
    return ReferenceLock::do_release(claim);
  }
  bool do_locked(const Claim& claim) const override {
    if (released) free(key());
    return ReferenceLock::do_locked(claim);
  }
  bool released = false;
};

struct OwnedByThreads : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    auto grant = ReferenceLock::do_acquire(claim);
    if (grant) owner = std::this_thread::get_id();
    return grant;
  }
  bool do_release(const Claim& claim) override { return owner == std::this_thread::get_id() && ReferenceLock::do_release(claim); }
  std::atomic<std::thread::id> owner{};
};

// Compares the process, not the hold.
struct OwnedByProcesses : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool do_release(const Claim& claim) override {
    const Store::Inside inside{store()};
    Entry& entry = this->entry(claim);
    if (!entry.held || entry.owner.process != claim.owner.process) return false;
    entry.held = false;
    return true;
  }
};

// Looks whether its store works, by a grant that is none.
struct HoldsFromTheStart : ReferenceLock {
  HoldsFromTheStart(std::string name, Options options, Client client) : ReferenceLock{std::move(name), std::move(options), std::move(client)} {
    static_cast<void>(try_acquire());
    looking = false;
  }
  std::optional<Grant> do_acquire(const Claim& claim) override { return looking ? Grant{} : ReferenceLock::do_acquire(claim); }
  bool looking = true;
};

struct UsedOnce : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override { return used ? std::nullopt : ReferenceLock::do_acquire(claim); }
  bool do_release(const Claim& claim) override {
    used = true;
    return ReferenceLock::do_release(claim);
  }
  std::atomic<bool> used = false;
};

// ---- expiry

inline Claim with_expire(Claim claim, sherlock::Duration expire) {
  claim.expire = expire;
  return claim;
}

struct LeasesNeverEnd : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool is_over(const Entry& entry, const Claim&) const override { return !store().alive(entry.holder); }
};

struct LeasesEndEarly : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    return ReferenceLock::do_acquire(claim.expire.is_infinite() ? claim : with_expire(claim, claim.expire.ns() * 3 / 4));
  }
};

struct NeverIsAnHour : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    return ReferenceLock::do_acquire(claim.expire.is_infinite() ? with_expire(claim, std::chrono::hours{1}) : claim);
  }
};

struct RenewsNothing : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool do_renew(const Claim& claim) override {
    const Store::Inside inside{store()};
    return is_mine(entry(claim), claim);
  }
};

// Takes over a little early, so that the lock stands idle for no time; and a renewal does not ask whose it is.
struct TakesOverEarly : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool may_take(const Entry& entry, const Claim& claim) const override {
    const bool nearly = entry.length != nanoseconds::max().count() && claim.now().count() >= entry.ends - entry.length / 3;
    return ReferenceLock::may_take(entry, claim) || (claim.attempt == Attempt::once && nearly);
  }
  bool do_renew(const Claim&) override { return true; }
};

struct LateReleaseIsAnError : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool do_release(const Claim& claim) override {
    if (!ReferenceLock::do_release(claim)) throw std::runtime_error{"no such owner"};
    return true;
  }
};

// An object whose lease ran out is still on its list of holders.
struct RefusesItsOwnAfterExpiry : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    if (listed) return std::nullopt;
    auto grant = ReferenceLock::do_acquire(claim);
    if (grant && !claim.expire.is_infinite()) listed = true;
    return grant;
  }
  bool do_release(const Claim& claim) override {
    const bool released = ReferenceLock::do_release(claim);
    if (released) listed = false;
    return released;
  }
  std::atomic<bool> listed = false;
};

// The dead hold on to what they have leased.
struct LeasesOutliveDeath : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool is_over(const Entry& entry, const Claim& claim) const override {
    const bool lease = entry.ends != nanoseconds::max().count();
    return lease ? claim.now().count() >= entry.ends : ReferenceLock::is_over(entry, claim);
  }
};

// ---- fence

struct FenceStandsStill : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  void take(Entry& entry, const Claim& claim) override {
    ReferenceLock::take(entry, claim);
    if (entry.abandoned) --entry.fence;
  }
};

struct ShowsTheNextFence : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Holder> do_holder(const Claim& claim) const override {
    auto holder = ReferenceLock::do_holder(claim);
    if (holder) ++*holder->fence;
    return holder;
  }
};

// ---- death

struct SeesNoDeath : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool is_over(const Entry& entry, const Claim& claim) const override { return claim.now().count() >= entry.ends; }
};

// Waiters who died stand in the queue for ever.
struct TheDeadQueue : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool may_take(const Entry& entry, const Claim& claim) const override {
    const bool first = entry.waiting == 0 || claim.attempt == Attempt::once || entry.queue[0].who == claim.owner;
    return first && ReferenceLock::may_take(entry, claim);
  }
};

struct TellsNobody : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  void take(Entry& entry, const Claim& claim) override {
    ReferenceLock::take(entry, claim);
    entry.abandoned = false;
  }
};

// Takes a process that does not answer for a dead one.
struct TheStoppedAreDead : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool is_over(const Entry& entry, const Claim& claim) const override {
    std::ifstream stat{"/proc/" + std::to_string(entry.holder.pid) + "/stat"};
    std::string word, state;
    stat >> word >> word >> state;
    return state == "T" || ReferenceLock::is_over(entry, claim);
  }
};

// ---- fork and exec

// Remembers its grant, and a child remembers it too.
struct ChildrenRemember : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    if (granted && maker != getpid()) return granted;
    granted = ReferenceLock::do_acquire(claim);
    return granted;
  }
  bool do_release(const Claim& claim) override {
    granted.reset();
    return ReferenceLock::do_release(claim);
  }
  std::optional<Grant> granted;
  const pid_t maker = getpid();
};

struct ChildrenCleanUp : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  ~ChildrenCleanUp() override {
    if (granted) free(key());
  }
  std::optional<Grant> do_acquire(const Claim& claim) override {
    auto grant = ReferenceLock::do_acquire(claim);
    if (grant) granted = true;
    return grant;
  }
  bool do_release(const Claim& claim) override {
    granted = false;
    return ReferenceLock::do_release(claim);
  }
  std::atomic<bool> granted = false;
};

struct LivesOnInChildren : ReferenceLock {
  LivesOnInChildren(std::string name, Options options, Client client)
      : ReferenceLock{std::move(name), std::move(options), std::move(client), Store::Presence::inherited_by_children} {}
};

struct LivesOnThroughExec : ReferenceLock {
  LivesOnThroughExec(std::string name, Options options, Client client)
      : ReferenceLock{std::move(name), std::move(options), std::move(client), Store::Presence::kept_by_exec} {}
};

}  // namespace reference
