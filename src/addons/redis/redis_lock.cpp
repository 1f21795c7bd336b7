// SPDX-License-Identifier: MIT
#include <sherlock/addons/redis_lock.hpp>

#include <fmt/core.h>

#include <atomic>
#include <utility>

#include <sherlock/clock.hpp>

#include "addons/common/facts.hpp"
#include "addons/common/failure.hpp"
#include "addons/redis/listener.hpp"
#include "addons/redis/server.hpp"

namespace sherlock {

using addons::Broken, addons::Deadline, addons::Failure;
using addons::redis::Listener, addons::redis::Reply;
using std::chrono::milliseconds, std::chrono::nanoseconds;

namespace {

constexpr const char* kPrefix = "sherlock:{";
constexpr const char* kPythonPrefix = "sherlock:python:{";
constexpr const char* kSuffix = "}:past";
constexpr milliseconds kRemembered = std::chrono::hours{24 * 7};  // what is known of a lock that nobody uses
constexpr milliseconds kLastWord{100};                            // what a destructor gives the server
constexpr milliseconds kSubscribing{1000};                        // what a waiter gives the server before it does without
constexpr long long kLongestLease = milliseconds{std::chrono::hours{24 * 365 * 100}}.count();  // longer is as good as never

// What a lock is called on the server. The keys have what stands in braces in common, by which a cluster would keep them together.
struct Names {
  std::string lock, past, channel;

  static Names ours(std::string_view key) {
    const std::string lock = fmt::format("{}{}}}", kPrefix, key);
    return {lock, fmt::format("{}{}{}", kPrefix, key, kSuffix), lock};
  }
  static Names pythons(std::string_view lock) {
    return {std::string{lock}, fmt::format("{}{}{}", kPythonPrefix, lock, kSuffix), fmt::format("{}{}}}", kPythonPrefix, lock)};
  }
  // Python's sherlock writes namespace, '_' and name, whatever is in them.
  static Names of(const ClaimWords& words, bool python) {
    if (!python) return ours(words.key);
    return pythons(words.ns.empty() ? std::string{words.name} : fmt::format("{}_{}", words.ns, words.name));
  }
};

bool is_text(const redisReply& reply) { return reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS; }
std::string_view text(const redisReply& reply) { return {reply.str, reply.len}; }

// The elements of an array that has as many, and of these kinds: 'i' a number, 's' a text.
bool has_form(const redisReply& reply, std::string_view kinds) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != kinds.size()) return false;
  for (std::size_t i = 0; i < kinds.size(); ++i)
    if (kinds[i] == 'i' ? reply.element[i]->type != REDIS_REPLY_INTEGER : !is_text(*reply.element[i])) return false;
  return true;
}

struct Look {
  std::optional<Holder> holder;
  addons::Facts known;  // of the last holder, who may be gone
};

Look look(addons::redis::Server& server, const Names& names, Deadline deadline) {
  const Reply reply = server.run(addons::redis::kLook, names.lock, names.past, {names.channel}, deadline);
  if (!has_form(*reply, "iisssis")) server.bad_answer();
  const auto element = [&](std::size_t i) -> const redisReply& { return *reply->element[i]; };
  Look found{.holder = std::nullopt, .known = addons::decode(text(element(6)))};
  if (element(0).integer == 0) return found;
  Holder& holder = found.holder.emplace(addons::decode(text(element(3))).holder);
  holder.fence = addons::read_number(text(element(2)));
  if (const auto since = addons::read_number(text(element(4)))) holder.since = addons::read_time(static_cast<std::int64_t>(*since));
  holder.expiry.reset();
  if (const auto left = element(1).integer; left >= 0 && left <= kLongestLease)
    holder.expiry = clock().wall() + milliseconds{left};
  if (element(5).integer >= 0) holder.waiting = static_cast<std::uint64_t>(element(5).integer);
  return found;
}

// Every remembered lock of the database: what stands between the braces.
template <class Each>
void for_each(addons::redis::Server& server, Deadline deadline, Each each) {
  const std::string_view prefix = server.python() ? kPythonPrefix : kPrefix, suffix = kSuffix;
  const std::string pattern = fmt::format("{}*{}", prefix, suffix);
  std::string cursor = "0";
  do {
    const Reply page = server.ask({"SCAN", cursor, "MATCH", pattern, "COUNT", "500"}, deadline);
    if (page->type != REDIS_REPLY_ARRAY || page->elements != 2 || !is_text(*page->element[0]) || page->element[1]->type != REDIS_REPLY_ARRAY)
      server.bad_answer();
    for (std::size_t i = 0; i < page->element[1]->elements; ++i) {
      const redisReply& key = *page->element[1]->element[i];
      if (!is_text(key)) server.bad_answer();
      std::string_view name = text(key);
      if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() < prefix.size() + suffix.size()) continue;
      name.remove_prefix(prefix.size());
      name.remove_suffix(suffix.size());
      each(name, server.python() ? Names::pythons(name) : Names::ours(name));
    }
    cursor = text(*page->element[0]);
    if (deadline.passed()) throw Failure{Errc::busy, server.url().shown() + ": the database is too large to look through in time"};
  } while (cursor != "0");
}

constexpr std::chrono::seconds kWalk{30};  // what a walk over all keys may take

}  // namespace

class RedisLock::Impl {
 public:
  Impl(const ClaimWords& words, std::shared_ptr<addons::redis::Server> server)
      : server_{std::move(server)}, names_{Names::of(words, server_->python())}, listener_{server_, names_.channel} {}

  std::optional<Grant> acquire(const Claim& claim) {
    const std::string owner = owner_text(claim);
    doubt_ = owner;
    const std::string since = std::to_string(addons::written(clock().wall()));
    const std::string lease = this->lease(claim), memory = this->memory(claim);
    const auto ask = [&](std::initializer_list<std::string_view> args) {
      return server_->run(addons::redis::kAcquire, names_.lock, names_.past, args, Deadline{claim.answer_by()});
    };
    // Rarely, a hold that came too late was given back, and its number is still the next one.
    const bool again = claim.owner.hold <= let_go_.load(std::memory_order_relaxed);
    const Reply reply = again ? ask({owner, lease, note(claim), since, memory, "again"}) : ask({owner, lease, note(claim), since, memory});
    doubt_.clear();
    if (has_form(*reply, "ii") && reply->element[0]->integer == 0) {
      const auto left = reply->element[1]->integer;
      held_until_ = left < 0 || left > kLongestLease ? nanoseconds::max() : clock().monotonic() + milliseconds{left + 1};
      if (claim.attempt == Attempt::last) listener_.stop();
      return std::nullopt;
    }
    if (!has_form(*reply, "isi") || reply->element[0]->integer != 1) server_->bad_answer();
    const auto fence = addons::read_number(text(*reply->element[1]));
    if (!fence) server_->bad_answer();
    lease_end_.note(claim);
    if (listener_.listening()) listener_.stop();
    return Grant{.fence = *fence, .abandoned = reply->element[2]->integer == 1};
  }

  bool release(const Claim& claim) {
    std::uint64_t last = let_go_.load(std::memory_order_relaxed);
    while (last < claim.owner.hold && !let_go_.compare_exchange_weak(last, claim.owner.hold, std::memory_order_relaxed)) {
    }
    const bool in_doubt = release_doubt_.load(std::memory_order_relaxed) == claim.fence;
    try {
      return release(owner_text(claim), in_doubt ? std::to_string(claim.fence) : "", Deadline{claim.answer_by()});
    } catch (const Failure&) {
      release_doubt_.store(claim.fence, std::memory_order_relaxed);
      throw;
    }
  }

  bool renew(const Claim& claim) {
    const std::string owner = owner_text(claim);
    const Reply reply = server_->run(addons::redis::kRenew, names_.lock, names_.past, {owner, lease(claim), memory(claim)}, lease_end_.renewal(claim));
    if (!yes(*reply)) return false;
    lease_end_.note(claim);
    return true;
  }

  bool locked(const Claim& claim) const {
    const Reply reply = server_->ask({"EXISTS", names_.lock}, Deadline{claim.answer_by()});
    return yes(*reply);
  }

  std::optional<Holder> holder(const Claim& claim) const { return look(*server_, names_, Deadline{claim.answer_by()}).holder; }

  void wait(const Claim& claim, nanoseconds deadline, const std::stop_token& stop) {
    if (stop.stop_requested()) return listener_.stop();
    try {
      if (!listener_.listening()) {
        // The look that must follow, for a release that came before we listened, is the try that BaseLock makes when we come back.
        listener_.start(subscribed_by(claim, deadline), stop);
        return;
      }
      return listener_.wait(Deadline{std::min(deadline, held_until_)}, stop);
    } catch (const Failure&) {
      // Without an ear a waiter still asks every retry_interval. If the server is gone, that try says so.
      listener_.stop();
    }
    clock().sleep_until(std::min(deadline, held_until_), stop);
  }

  // A try that had no answer may have been granted: nobody will come for that hold.
  void settle_doubt() noexcept {
    if (doubt_.empty() || forks_ != addons::forks()) return;
    try {
      release(doubt_, {}, Deadline::in(kLastWord));
    } catch (const std::exception&) {
    }
  }

 private:
  bool release(const std::string& owner, const std::string& fence, Deadline deadline) {
    const std::string memory = std::to_string(kRemembered.count());
    return yes(*server_->run(addons::redis::kRelease, names_.lock, names_.past, {owner, names_.channel, memory, fence}, deadline));
  }

  // A deadline of do_wait may be that of the next try, soon, while the wait goes on: where the way is long, all would be too short to listen. So it counts only
  // in the last second, which is as near as answer_by() tells.
  static Deadline subscribed_by(const Claim& claim, nanoseconds deadline) {
    const nanoseconds answer_by = claim.answer_by(), most = clock().monotonic() + kSubscribing;
    return Deadline{answer_by > most ? most : std::min(most, deadline)};
  }

  bool yes(const redisReply& reply) const {
    if (reply.type != REDIS_REPLY_INTEGER || (reply.integer != 0 && reply.integer != 1)) server_->bad_answer();
    return reply.integer == 1;
  }

  // As uuid4 writes it, where Python reads it.
  std::string owner_text(const Claim& claim) const {
    std::string digits = claim.owner.text();
    if (server_->python())
      for (const std::size_t at : {8, 13, 18, 23}) digits.insert(at, 1, '-');
    return digits;
  }

  static std::string lease(const Claim& claim) { return claim.expire.is_infinite() ? "" : std::to_string(addons::kept_by_server(claim.expire).count()); }
  static std::string memory(const Claim& claim) {
    return claim.expire.is_infinite() ? "" : std::to_string((addons::kept_by_server(claim.expire) + kRemembered).count());
  }

  // The same for every hold of this object, until a fork.
  const std::string& note(const Claim& claim) {
    if (note_.empty() || forks_ != addons::forks()) {
      note_ = addons::encode(addons::facts_of(claim));
      forks_ = addons::forks();
    }
    return note_;
  }

  const std::shared_ptr<addons::redis::Server> server_;
  const Names names_;
  addons::LeaseEnd lease_end_;
  std::atomic<std::uint64_t> release_doubt_{0};  // fence of the hold whose release had no answer
  std::atomic<std::uint64_t> let_go_{0};  // the largest Owner::hold (they only rise) that this object released, or tried to
  // Of do_acquire and do_wait, of which one runs at a time.
  Listener listener_;
  nanoseconds held_until_{};  // Clock::monotonic(): when the lease of whoever has it ends, unless it is renewed
  std::string doubt_;         // owner in a try that had no answer yet
  std::string note_;
  std::uint64_t forks_ = 0;   // under which the note was made
};

RedisLock::RedisLock(std::string name, Options options, Client client)
    : BaseLock{std::move(name), std::move(options), traits, "redis", Threads::one_at_a_time},
      impl_{std::make_unique<Impl>(ClaimWords{key(), this->name(), ns(), label()}, std::move(client.server_))} {}

RedisLock::~RedisLock() {
  let_go();
  impl_->settle_doubt();
}

std::optional<Grant> RedisLock::do_acquire(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->acquire(claim); });
}
bool RedisLock::do_release(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->release(claim); });
}
bool RedisLock::do_renew(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->renew(claim); });
}
bool RedisLock::do_locked(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->locked(claim); });
}
std::optional<Holder> RedisLock::do_holder(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->holder(claim); });
}
void RedisLock::do_wait(const Claim& claim, nanoseconds deadline, std::stop_token stop) { impl_->wait(claim, deadline, stop); }

std::vector<LockInfo> RedisLock::list(const Client& client) {
  return addons::guarded({}, "redis", [&] {
    std::vector<LockInfo> found;
    const Deadline deadline = Deadline::in(kWalk);
    for_each(*client.server_, deadline, [&](std::string_view key, const Names& names) {
      Look look = sherlock::look(*client.server_, names, deadline);
      found.push_back({.name = std::move(look.known.name), .ns = std::move(look.known.ns), .key = std::string{key}, .path = names.lock,
                       .holder = std::move(look.holder)});
    });
    return found;
  });
}

std::size_t RedisLock::clean(const Client& client) {
  return addons::guarded({}, "redis", [&] {
    std::size_t forgotten = 0;
    const Deadline deadline = Deadline::in(kWalk);
    for_each(*client.server_, deadline, [&](std::string_view, const Names& names) {
      const Reply reply = client.server_->run(addons::redis::kForget, names.lock, names.past, {}, deadline);
      if (reply->type != REDIS_REPLY_INTEGER) client.server_->bad_answer();
      forgotten += reply->integer == 1;
    });
    return forgotten;
  });
}

}  // namespace sherlock
