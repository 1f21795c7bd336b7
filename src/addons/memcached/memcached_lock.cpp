// SPDX-License-Identifier: MIT
#include <sherlock/addons/memcached_lock.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include <sherlock/clock.hpp>

#include "addons/common/facts.hpp"
#include "addons/common/failure.hpp"
#include "addons/common/forks.hpp"
#include "addons/memcached/server.hpp"

namespace sherlock {

using addons::Deadline, addons::Failure;
using addons::memcached::Found, addons::memcached::Record, addons::memcached::Server, addons::memcached::Sight;
using std::chrono::milliseconds, std::chrono::nanoseconds;

namespace {

constexpr milliseconds kLastWord{100};            // what a destructor gives the server
constexpr std::uint64_t kMostGrants = 1'000'000;  // while an answer is lost. A record that was made anew is ahead by more: by the age of the old one in nanoseconds

std::optional<milliseconds> ttl(const Claim& claim) {
  if (claim.expire.is_infinite()) return std::nullopt;
  return addons::kept_by_server(claim.expire);
}

// Of this process, which has an owner of its own.
std::uint64_t next_write() {
  static std::atomic<std::uint64_t> writes{0};
  return writes.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

class MemcachedLock::Impl {
 public:
  Impl(const ClaimWords& words, std::shared_ptr<Server> server)
      : server_{std::move(server)}, key_{"sherlock:" + std::string{words.key}}, name_{words.name}, ns_{words.ns}, sight_{server_->sight(key_)} {}
  ~Impl() { server_->close(key_, std::move(sight_)); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::optional<Grant> acquire(const Claim& claim) {
    const Deadline deadline{claim.answer_by()};
    const std::string owner = claim.owner.text();
    doubt_ = owner;
    // What was seen last will do where it was free: if it is not any more, the server does not write.
    Sight seen = last_seen();
    if (!seen.found() || seen.held()) seen = look(deadline);
    for (;; seen = last_seen()) {
      const bool ours = seen.held_by(owner);  // a try of ours was granted, and the answer was lost
      if (!ours && seen.held_at(clock().monotonic())) break;
      Record next = ours ? seen.found()->record : successor(seen, owner);
      next.ttl = ttl(claim);
      next.note = note(claim);
      next.since = addons::written(clock().wall());
      next.write = next_write();
      if (!write(seen.found(), next, deadline)) {
        patient(deadline);
        continue;  // somebody was quicker: what is there now was seen
      }
      doubt_.clear();
      lease_end_.note(claim);
      return Grant{.fence = next.fence, .abandoned = next.abandoned};
    }
    doubt_.clear();
    return std::nullopt;
  }

  bool release(const Claim& claim) { return release(claim.owner.text(), claim.fence, Deadline{claim.answer_by()}); }

  bool renew(const Claim& claim) {
    const Deadline deadline = lease_end_.renewal(claim);
    const std::string owner = claim.owner.text();
    for (Sight seen = last_seen_of(owner, deadline); seen.held_by(owner); seen = last_seen()) {
      Record next = seen.found()->record;
      next.ttl = ttl(claim);
      next.write = next_write();
      if (write(seen.found(), next, deadline)) {
        lease_end_.note(claim);
        return true;
      }
      patient(deadline);
    }
    return false;
  }

  bool locked(const Claim& claim) { return look(Deadline{claim.answer_by()}).held_at(clock().monotonic()); }

  std::optional<Holder> holder(const Claim& claim) {
    const Sight seen = look(Deadline{claim.answer_by()});
    const nanoseconds now = clock().monotonic();
    if (!seen.held_at(now)) return std::nullopt;
    const Record& record = seen.found()->record;
    Holder holder = addons::decode(record.note).holder;
    holder.fence = record.fence;
    holder.since = addons::read_time(record.since);
    holder.expiry.reset();
    if (const nanoseconds over = seen.over_at(); over != nanoseconds::max())
      holder.expiry = clock().wall() + std::chrono::duration_cast<std::chrono::system_clock::duration>(over - now);
    return holder;
  }

  void wait(nanoseconds deadline, const std::stop_token& stop) const {
    const Sight seen = last_seen();
    clock().sleep_until(seen.held() ? std::min(deadline, seen.over_at()) : deadline, stop);
  }

  // A try that had no answer may have been granted: nobody will come for that hold.
  void settle_doubt() noexcept {
    if (doubt_.empty() || forks_ != addons::forks()) return;
    try {
      release(doubt_, UINT64_MAX, Deadline::in(kLastWord));
    } catch (const std::exception&) {
    }
  }

 private:
  // What the record of the next hold is. Where there is none, the server may have forgotten a smaller fence.
  static Record successor(const Sight& seen, const std::string& owner) {
    Record next;
    next.owner = owner;
    next.held = true;
    next.fence = seen.found() ? seen.found()->record.fence + 1 : static_cast<std::uint64_t>(clock().wall().time_since_epoch() / nanoseconds{1});
    next.abandoned = seen.held();
    return next;
  }

  // Whether the record is ours now: nobody else writes this text, and we write it only here.
  bool write(const std::optional<Found>& seen, const Record& next, Deadline deadline, bool* asked_twice = nullptr) {
    const Sight now = see(server_->write(key_, seen, next, deadline, asked_twice));
    return now.found() && now.found()->record.owner == next.owner && now.found()->record.write == next.write;
  }

  bool release(const std::string& owner, std::uint64_t fence, Deadline deadline) {
    bool in_doubt = release_began(owner);
    Sight seen = last_seen_of(owner, deadline);
    for (; seen.found() && seen.found()->record.owner == owner; seen = last_seen()) {
      if (!seen.held()) return true;  // by a request whose answer was lost
      Record next = seen.found()->record;
      next.held = false;
      next.write = next_write();
      begin_release(owner);
      if (write(seen.found(), next, deadline, &in_doubt)) return true;
      // Somebody may have been granted the lock between our write and the look that told us of it.
      in_doubt = true;
      patient(deadline);
    }
    if (!in_doubt || !seen.found() || seen.found()->record.fence <= fence) return false;
    // Others have had it since. The next one says whether it was released. If later ones came because our lease was over, our caller knows that.
    const std::uint64_t grants = seen.found()->record.fence - fence;
    return grants == 1 ? !seen.found()->record.abandoned : grants < kMostGrants;
  }

  // Each turn of a loop was lost to somebody else's; so is the time, in the end.
  void patient(Deadline deadline) const {
    if (deadline.passed()) throw Failure{Errc::busy, server_->url().shown() + ": others are quicker, again and again"};
  }

  // Whether a release of this hold was asked for before: only one that had no answer is asked again.
  bool release_began(const std::string& owner) const {
    const std::lock_guard guard{addons::shared()};
    return releasing_ == owner;
  }
  void begin_release(const std::string& owner) {
    const std::lock_guard guard{addons::shared()};
    releasing_ = owner;
  }

  Sight look(Deadline deadline) { return see(server_->get(key_, deadline)); }

  Sight see(std::optional<Found> found) {
    if (found) check_name(*found);
    const nanoseconds now = clock().monotonic();
    const std::lock_guard guard{addons::shared()};
    sight_->see(std::move(found), now);
    return *sight_;
  }

  // The key has a hash of the name in it. Should two names ever meet there, neither is taken for the other.
  void check_name(const Found& found) const {
    const Sight seen = last_seen();
    if (seen.found() && seen.found()->record.note == found.record.note) return;
    const addons::Facts known = addons::decode(found.record.note);
    if (known.name != name_ || known.ns != ns_) throw Failure{Errc::damaged, server_->url().shown() + ": item " + key_ + " is of a lock with another name"};
  }

  Sight last_seen() const {
    const std::lock_guard guard{addons::shared()};
    return *sight_;
  }

  // What was seen last, if that was this owner's hold: nobody else writes it, as a rule.
  Sight last_seen_of(const std::string& owner, Deadline deadline) {
    Sight seen = last_seen();
    return seen.held_by(owner) ? seen : look(deadline);
  }

  // The same for every hold of this object, until a fork.
  const std::string& note(const Claim& claim) {
    if (note_.empty() || forks_ != addons::forks()) {
      note_ = addons::encode(addons::facts_of(claim));
      forks_ = addons::forks();
    }
    return note_;
  }

  const std::shared_ptr<Server> server_;
  const std::string key_, name_, ns_;
  std::shared_ptr<Sight> sight_;  // see Server::sight
  addons::LeaseEnd lease_end_;
  std::string releasing_;  // owner whose release was asked for last; with shared() held
  // Of do_acquire, of which one runs at a time.
  std::string doubt_;        // owner in a try that had no answer yet
  std::string note_;
  std::uint64_t forks_ = 0;  // under which the note was made
};

MemcachedLock::MemcachedLock(std::string name, Options options, Client client)
    : BaseLock{std::move(name), std::move(options), traits, "memcached", Threads::one_at_a_time},
      impl_{std::make_unique<Impl>(ClaimWords{key(), this->name(), ns(), label()}, std::move(client.server_))} {}

MemcachedLock::~MemcachedLock() {
  let_go();
  impl_->settle_doubt();
}

std::optional<Grant> MemcachedLock::do_acquire(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->acquire(claim); });
}
bool MemcachedLock::do_release(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->release(claim); });
}
bool MemcachedLock::do_renew(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->renew(claim); });
}
bool MemcachedLock::do_locked(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->locked(claim); });
}
std::optional<Holder> MemcachedLock::do_holder(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->holder(claim); });
}
void MemcachedLock::do_wait(const Claim&, nanoseconds deadline, std::stop_token stop) { impl_->wait(deadline, stop); }

}  // namespace sherlock
