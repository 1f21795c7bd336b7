// SPDX-License-Identifier: MIT
#include <sherlock/addons/elasticsearch_lock.hpp>

#include <algorithm>
#include <mutex>
#include <utility>

#include <sherlock/clock.hpp>

#include "addons/common/facts.hpp"
#include "addons/common/failure.hpp"
#include "addons/common/forks.hpp"
#include "addons/elasticsearch/index.hpp"

namespace sherlock {

using addons::Deadline, addons::Failure;
using addons::elasticsearch::Document, addons::elasticsearch::Found, addons::elasticsearch::Index, addons::elasticsearch::Sight, addons::elasticsearch::Version;
using std::chrono::milliseconds, std::chrono::nanoseconds;

namespace {

constexpr milliseconds kLastWord{100};        // what a destructor gives the server
constexpr std::chrono::seconds kWalk{30};     // what a walk over all documents may take

std::optional<milliseconds> ttl(const Claim& claim) {
  if (claim.expire.is_infinite()) return std::nullopt;
  return addons::kept_by_server(claim.expire);
}

std::optional<Holder> holder_of(const Document& document, nanoseconds over_in) {
  if (!document.held) return std::nullopt;
  Holder holder = addons::decode(document.note).holder;
  holder.fence = document.fence;
  holder.since = addons::read_time(document.since);
  holder.expiry.reset();
  if (over_in != nanoseconds::max()) holder.expiry = clock().wall() + std::chrono::duration_cast<std::chrono::system_clock::duration>(over_in);
  return holder;
}

}  // namespace

class ElasticsearchLock::Impl {
 public:
  Impl(const ClaimWords& words, std::shared_ptr<Index> index) : index_{std::move(index)}, key_{words.key}, sight_{index_->sight(key_)} {}
  ~Impl() { index_->close(key_, std::move(sight_)); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::optional<Grant> acquire(const Claim& claim) {
    const Deadline deadline{claim.answer_by()};
    const std::string owner = claim.owner.text();
    doubt_ = owner;
    // Not what was seen earlier: an index that was made anew since may have the same number for another's hold.
    for (Sight seen = look(deadline);; seen = look(deadline)) {
      const bool ours = seen.held_by(owner);  // a try of ours was granted, and the answer was lost
      if (!ours && seen.held_at(clock().monotonic())) break;

      Document next = ours ? seen.found()->document : successor(seen, owner);
      next.ttl = ttl(claim);
      next.note = note(claim);
      next.since = addons::written(clock().wall());
      if (seen.found()) settle_fence(next, deadline);
      if (auto written = write(seen.found(), next, deadline)) {
        const Found made{next, *written};
        if (settle_fence(next, deadline)) written = write(made, next, deadline);
        if (written) {
          doubt_.clear();
          lease_end_.note(claim);
          return Grant{.fence = next.fence, .abandoned = next.abandoned};
        }
      }
      // Somebody was quicker, or it was us.
    }
    doubt_.clear();
    return std::nullopt;
  }

  bool release(const Claim& claim) { return release(claim.owner.text(), claim.fence, Deadline{claim.answer_by()}); }

  bool renew(const Claim& claim) {
    const Deadline deadline = lease_end_.renewal(claim);
    const std::string owner = claim.owner.text();
    for (Sight seen = look(deadline); seen.held_by(owner); seen = look(deadline)) {
      Document next = seen.found()->document;
      next.ttl = ttl(claim);
      if (!write(seen.found(), next, deadline)) continue;
      lease_end_.note(claim);
      return true;
    }
    return false;
  }

  bool locked(const Claim& claim) { return look(Deadline{claim.answer_by()}).held_at(clock().monotonic()); }

  std::optional<Holder> holder(const Claim& claim) {
    const Sight seen = look(Deadline{claim.answer_by()});
    const nanoseconds now = clock().monotonic();
    if (!seen.held_at(now)) return std::nullopt;
    return holder_of(seen.found()->document, seen.over_at() == nanoseconds::max() ? nanoseconds::max() : seen.over_at() - now);
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
  // What the document of the next hold is.
  static Document successor(const Sight& seen, const std::string& owner) {
    // The clock goes on where the index has forgotten grants.
    const auto wall = static_cast<std::uint64_t>(std::max<std::int64_t>(clock().wall().time_since_epoch() / nanoseconds{1}, 1));
    if (!seen.found()) return {.owner = owner, .held = true, .fence = wall, .fence_unsure = true, .abandoned = false, .ttl = {}, .note = {}, .since = 0};
    const Document& last = seen.found()->document;
    const std::uint64_t fence = std::max(last.fence + 1, wall);
    return {.owner = owner, .held = true, .fence = fence, .fence_unsure = last.fence_unsure, .abandoned = last.held, .ttl = {}, .note = {}, .since = 0};
  }

  // Raises the fence where the lock was removed before and had larger ones; whether it did. To be asked when there is a document: whatever was removed before
  // that raised the bound earlier.
  bool settle_fence(Document& next, Deadline deadline) {
    if (!next.fence_unsure) return false;
    next.fence_unsure = false;
    const std::uint64_t forgotten = index_->forgotten_fence(deadline);
    if (forgotten < next.fence) return false;
    next.fence = forgotten + 1;
    return true;
  }

  // The atomic step: writes where the document is what it was seen to be, and nothing else. The version it has now, or nothing.
  std::optional<Version> write(const std::optional<Found>& seen, const Document& next, Deadline deadline, bool* asked_twice = nullptr) {
    const auto written = seen ? index_->replace(key_, seen->version, next, deadline, asked_twice) : index_->create(key_, next, deadline);
    if (written) see(Found{next, *written});
    return written;
  }

  bool release(const std::string& owner, std::uint64_t fence, Deadline deadline) {
    bool in_doubt = release_began(owner);
    Sight seen = look(deadline);
    for (; seen.found() && seen.found()->document.owner == owner; seen = look(deadline)) {
      if (!seen.held()) return true;  // by a request whose answer was lost
      Document next = seen.found()->document;
      next.held = false;
      begin_release(owner);
      if (write(seen.found(), next, deadline, &in_doubt)) return true;
    }
    // Others have had it since. They may have come after a release of ours whose answer was lost; if they came because our lease was over, our caller knows that.
    return in_doubt && seen.found() && seen.found()->document.fence > fence;
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

  Sight look(Deadline deadline) { return see(index_->get(key_, deadline)); }

  Sight see(std::optional<Found> found) {
    const nanoseconds now = clock().monotonic();
    const std::lock_guard guard{addons::shared()};
    sight_->see(std::move(found), now);
    return *sight_;
  }

  Sight last_seen() const {
    const std::lock_guard guard{addons::shared()};
    return *sight_;
  }

  // The same for every hold of this object, until a fork.
  const std::string& note(const Claim& claim) {
    if (note_.empty() || forks_ != addons::forks()) {
      note_ = addons::encode(addons::facts_of(claim));
      forks_ = addons::forks();
    }
    return note_;
  }

  const std::shared_ptr<Index> index_;
  const std::string key_;
  std::shared_ptr<Sight> sight_;  // see Index::sight
  addons::LeaseEnd lease_end_;
  std::string releasing_;  // owner whose release was asked for last; with shared() held
  // Of do_acquire, of which one runs at a time.
  std::string doubt_;        // owner in a try that had no answer yet
  std::string note_;
  std::uint64_t forks_ = 0;  // under which the note was made
};

ElasticsearchLock::ElasticsearchLock(std::string name, Options options, Client client)
    : BaseLock{std::move(name), std::move(options), traits, "elasticsearch", Threads::one_at_a_time},
      impl_{std::make_unique<Impl>(ClaimWords{key(), this->name(), ns(), label()}, std::move(client.index_))} {}

ElasticsearchLock::~ElasticsearchLock() {
  let_go();
  impl_->settle_doubt();
}

std::optional<Grant> ElasticsearchLock::do_acquire(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->acquire(claim); });
}
bool ElasticsearchLock::do_release(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->release(claim); });
}
bool ElasticsearchLock::do_renew(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->renew(claim); });
}
bool ElasticsearchLock::do_locked(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->locked(claim); });
}
std::optional<Holder> ElasticsearchLock::do_holder(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->holder(claim); });
}
void ElasticsearchLock::do_wait(const Claim&, nanoseconds deadline, std::stop_token stop) { impl_->wait(deadline, stop); }

std::vector<LockInfo> ElasticsearchLock::list(const Client& client) {
  return addons::guarded({}, "elasticsearch", [&] {
    std::vector<LockInfo> found;
    for (auto& one : client.index_->all(Deadline::in(kWalk))) {
      addons::Facts known = addons::decode(one.document.note);
      // Whether its lease is over is not known to somebody who just came: it is shown with the holder it had last.
      const nanoseconds over_in = one.document.ttl ? nanoseconds{std::min<milliseconds>(*one.document.ttl, std::chrono::hours{24 * 365 * 100})} : nanoseconds::max();
      found.push_back({.name = std::move(known.name), .ns = std::move(known.ns), .key = one.key, .path = client.index_->path_of(one.key),
                       .holder = holder_of(one.document, over_in)});
    }
    return found;
  });
}

std::size_t ElasticsearchLock::clean(const Client& client) {
  return addons::guarded({}, "elasticsearch", [&] {
    const Deadline deadline = Deadline::in(kWalk);
    std::vector<Index::Listed> free = client.index_->all(deadline);
    std::erase_if(free, [](const Index::Listed& one) { return one.document.held; });
    if (free.empty()) return std::size_t{0};
    // First the bound, then the documents that it stands for.
    client.index_->forget_fence(std::ranges::max(free, {}, [](const auto& one) { return one.document.fence; }).document.fence, deadline);
    return static_cast<std::size_t>(std::ranges::count_if(free, [&](const Index::Listed& one) { return client.index_->remove(one.key, one.version, deadline); }));
  });
}

}  // namespace sherlock
