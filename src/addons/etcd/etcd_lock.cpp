// SPDX-License-Identifier: MIT
#include <sherlock/addons/etcd_lock.hpp>

#include <atomic>
#include <mutex>
#include <utility>

#include <sherlock/clock.hpp>

#include "addons/common/facts.hpp"
#include "addons/common/failure.hpp"
#include "addons/common/forks.hpp"
#include "addons/etcd/listener.hpp"

namespace sherlock {

using addons::Deadline, addons::Failure;
using addons::etcd::Keys, addons::etcd::Listener, addons::etcd::Refused, addons::etcd::Server, addons::etcd::Sight;
using std::chrono::nanoseconds, std::chrono::seconds;

namespace {

constexpr std::int64_t kLongestLease = 9'000'000'000;  // seconds, which is what etcd allows
constexpr std::chrono::milliseconds kLastWord{100};    // what a destructor gives the cluster
constexpr seconds kList{30};                           // what a list may take
constexpr int kMostLeases = 3;                         // that may end under one try

// Whole seconds, so that it is a ninth longer than what the holder counts, or more.
std::int64_t lease_seconds(Duration expire) {
  return std::min(std::chrono::ceil<seconds>(addons::kept_by_server(expire)).count(), kLongestLease);
}

std::optional<Holder> holder_of(Server& server, const Sight& sight, Deadline deadline) {
  if (!sight.owner) return std::nullopt;
  Holder holder;
  if (sight.note && sight.note_fence == sight.fence) holder = addons::decode(*sight.note).holder;
  holder.fence = sight.fence;
  holder.expiry.reset();
  if (sight.lease == 0) return holder;
  const auto left = addons::etcd::lease_left(server, sight.lease, deadline);
  if (!left) return std::nullopt;  // it has ended while we looked
  if (*left <= kLongestLease / 2) holder.expiry = clock().wall() + seconds{*left};
  return holder;
}

}  // namespace

class EtcdLock::Impl {
 public:
  Impl(const ClaimWords& words, std::shared_ptr<Server> server) : server_{std::move(server)}, keys_{words.key}, listener_{server_, keys_} {}

  std::optional<Grant> acquire(const Claim& claim) {
    forget_parents();
    const Deadline deadline{claim.answer_by()};
    // A look costs the cluster less than a try, which all its members write down.
    const bool polls = (claim.attempt == Attempt::waiting || claim.attempt == Attempt::last) && !told_;
    if (polls) {
      const Sight sight = addons::etcd::look(*server_, keys_, deadline);
      if (sight.owner && *sight.owner != claim.owner.text() && !was_let_go(*sight.owner)) return refused(claim, sight);
    }

    const std::string owner = claim.owner.text(), text = note(claim);
    doubt_ = owner;
    for (int ended = 0;;) {
      try {
        const auto lease = claim.expire.is_infinite() ? 0 : lease_for(claim, deadline);
        const auto tried = addons::etcd::take(*server_, keys_, owner, lease, text, deadline);
        if (tried.granted) return granted(claim, {.fence = tried.sight.revision, .abandoned = tried.abandoned});
        const Sight& sight = tried.sight;
        // It was granted before, and the answer was lost.
        if (*sight.owner == owner && (sight.lease == lease || addons::etcd::keep_lease(*server_, sight.lease, deadline)))
          return granted(claim, {.fence = sight.fence, .abandoned = sight.note && addons::etcd::tells_abandoned(*sight.note)});
        // Or it was asked twice, and once carried out after the release: nobody has that hold, and our own tries would keep its lease.
        if (!was_let_go(*sight.owner) || ++ended == kMostLeases) return refused(claim, sight);
        addons::etcd::let_go(*server_, keys_, *sight.owner, sight.fence, deadline);
      } catch (const Refused& e) {
        if (!e.not_found() || ++ended == kMostLeases) throw;
        lease_ = 0;
      }
    }
  }

  bool release(const Claim& claim) {
    try {
      const auto outcome = addons::etcd::let_go(*server_, keys_, claim.owner.text(), claim.fence, Deadline{claim.answer_by()});
      {
        const std::lock_guard guard{addons::shared()};
        let_go_ = claim.owner.text();
      }
      if (outcome.done) {
        spare_.store(outcome.lease, std::memory_order_relaxed);
        return true;
      }
      const bool doubtful = outcome.repeated || release_doubt_.load(std::memory_order_relaxed) == claim.fence;
      return doubtful && was_released(outcome.sight, claim.fence);
    } catch (const Failure&) {
      release_doubt_.store(claim.fence, std::memory_order_relaxed);
      throw;
    }
  }

  bool renew(const Claim& claim) {
    const Deadline deadline = lease_end_.renewal(claim);
    const Sight sight = addons::etcd::look(*server_, keys_, deadline);
    if (!sight.owner || *sight.owner != claim.owner.text() || sight.fence != claim.fence) return false;
    if (sight.lease != 0 && !addons::etcd::keep_lease(*server_, sight.lease, deadline)) return false;
    lease_end_.note(claim);
    return true;
  }

  bool locked(const Claim& claim) const { return addons::etcd::look(*server_, keys_, Deadline{claim.answer_by()}).owner.has_value(); }

  std::optional<Holder> holder(const Claim& claim) const {
    const Deadline deadline{claim.answer_by()};
    return holder_of(*server_, addons::etcd::look(*server_, keys_, deadline), deadline);
  }

  void wait(nanoseconds deadline, const std::stop_token& stop) {
    told_ = false;
    if (stop.stop_requested()) return listener_.stop();
    try {
      told_ = listener_.wait(revision_, Deadline{deadline}, stop);
      return;
    } catch (const Failure&) {
      // Without an ear a waiter still asks every retry_interval. If the cluster is gone, that try says so.
      listener_.stop();
    }
    clock().sleep_until(deadline, stop);
  }

  // A try that had no answer may have been granted: nobody will come for that hold. And a lease that is not needed any more is given back.
  void settle() noexcept {
    if (forks_ != addons::forks()) return;
    const Deadline deadline = Deadline::in(kLastWord);
    try {
      if (!doubt_.empty()) addons::etcd::let_go(*server_, keys_, doubt_, 0, deadline);
      for (const auto lease : {lease_, spare_.load(std::memory_order_relaxed)})
        if (lease != 0) addons::etcd::revoke_lease(*server_, lease, deadline);
    } catch (const std::exception&) {
    }
  }

 private:
  Grant granted(const Claim& claim, Grant grant) {
    lease_ = 0;
    doubt_.clear();
    lease_end_.note(claim);
    listener_.stop();
    return grant;
  }

  std::optional<Grant> refused(const Claim& claim, const Sight& sight) {
    doubt_.clear();
    revision_ = sight.revision;
    if (claim.attempt == Attempt::last) listener_.stop();
    return std::nullopt;
  }

  // One that begins now. It is kept for the next try when this one is refused, and for the next hold when this one is released: to prolong a lease
  // costs the cluster nothing, to make one is a write.
  std::uint64_t lease_for(const Claim& claim, Deadline deadline) {
    if (lease_ == 0) lease_ = spare_.exchange(0, std::memory_order_relaxed);
    if (lease_ == 0 || !addons::etcd::keep_lease(*server_, lease_, deadline)) lease_ = addons::etcd::grant_lease(*server_, lease_seconds(claim.expire), deadline);
    return lease_;
  }

  bool was_let_go(const std::string& owner) const {
    const std::lock_guard guard{addons::shared()};
    return owner == let_go_;
  }

  // Of a release that was asked for more than once: whether it was done. Released locks leave no note; whoever came after us notes how they found it.
  static bool was_released(const Sight& sight, std::uint64_t fence) {
    if (!sight.note) return true;
    return sight.note_fence != fence && !addons::etcd::tells_abandoned(*sight.note);
  }

  std::string note(const Claim& claim) const {
    addons::Facts facts = addons::facts_of(claim);
    facts.holder.since = clock().wall();
    return addons::encode(facts);
  }

  // A child's tries are its own.
  void forget_parents() {
    if (forks_ == addons::forks()) return;
    forks_ = addons::forks();
    lease_ = 0;
    spare_.store(0, std::memory_order_relaxed);
    doubt_.clear();
    listener_.stop();
  }

  const std::shared_ptr<Server> server_;
  const Keys keys_;
  addons::LeaseEnd lease_end_;
  // Of do_acquire and do_wait, of which one runs at a time.
  Listener listener_;
  std::uint64_t lease_ = 0;     // for tries; no hold is attached to it, but perhaps that in doubt
  std::string doubt_;           // owner in a try that had no answer yet
  std::uint64_t revision_ = 0;  // of the look at which we were refused
  bool told_ = false;           // a hold has ended since
  std::uint64_t forks_ = addons::forks();
  // Of others too.
  std::atomic<std::uint64_t> spare_{0};          // the lease of a hold that was released
  std::atomic<std::uint64_t> release_doubt_{0};  // fence of a hold whose release had no answer
  std::string let_go_;                           // owner of the hold that ended last; with shared()
};

EtcdLock::EtcdLock(std::string name, Options options, Client client)
    : BaseLock{std::move(name), std::move(options), traits, "etcd", Threads::one_at_a_time},
      impl_{std::make_unique<Impl>(ClaimWords{key(), this->name(), ns(), label()}, std::move(client.server_))} {}

EtcdLock::~EtcdLock() {
  let_go();
  impl_->settle();
}

std::optional<Grant> EtcdLock::do_acquire(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->acquire(claim); });
}
bool EtcdLock::do_release(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->release(claim); });
}
bool EtcdLock::do_renew(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->renew(claim); });
}
bool EtcdLock::do_locked(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->locked(claim); });
}
std::optional<Holder> EtcdLock::do_holder(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->holder(claim); });
}
void EtcdLock::do_wait(const Claim&, nanoseconds deadline, std::stop_token stop) { impl_->wait(deadline, stop); }

std::vector<LockInfo> EtcdLock::list(const Client& client) {
  return addons::guarded({}, "etcd", [&] {
    std::vector<LockInfo> found;
    const Deadline deadline = Deadline::in(kList);
    addons::etcd::for_each(*client.server_, deadline, [&](const std::string& key, const Sight& sight) {
      addons::Facts known = sight.note ? addons::decode(*sight.note) : addons::Facts{};
      found.push_back({.name = std::move(known.name), .ns = std::move(known.ns), .key = key, .path = Keys{key}.owner,
                       .holder = holder_of(*client.server_, sight, deadline)});
    });
    return found;
  });
}

}  // namespace sherlock
