// SPDX-License-Identifier: MIT
#include <sherlock/addons/postgres_lock.hpp>

#include <fmt/core.h>

#include <charconv>
#include <mutex>
#include <utility>

#include <sherlock/clock.hpp>

#include "addons/common/facts.hpp"
#include "addons/common/failure.hpp"
#include "addons/common/forks.hpp"
#include "addons/postgres/listener.hpp"
#include "addons/postgres/server.hpp"

namespace sherlock {

using addons::Deadline, addons::Failure;
using addons::postgres::Listener, addons::postgres::Result, addons::postgres::Verb;
using std::chrono::milliseconds, std::chrono::nanoseconds;

namespace {

constexpr milliseconds kLastWord{100};     // what a destructor gives the server
constexpr milliseconds kListening{1000};   // what a waiter gives the server before it does without
constexpr std::chrono::seconds kWalk{30};  // what a walk over all rows may take
constexpr std::int64_t kLongestLease = milliseconds{std::chrono::hours{24 * 365 * 100}}.count();  // longer is as good as never

// What a lock is called on the server.
struct Names {
  std::string key;
  std::uint64_t hash;  // of table and key
  std::string channel, hash_text, high, low;

  Names(std::string_view key, const addons::postgres::Server& server)
      : key{key}, hash{addons::postgres::hash_of(fmt::format("{} {}", server.settings().table(), key))}, channel{fmt::format("sherlock_{:016x}", hash)},
        hash_text{std::to_string(static_cast<std::int64_t>(hash))}, high{std::to_string(hash >> 32)}, low{std::to_string(hash & 0xffffffff)} {}
};

// A field of a row: text as it was sent, which is '' for null.
std::string_view text(const Result& result, int row, int column) {
  return {PQgetvalue(result.get(), row, column), static_cast<std::size_t>(PQgetlength(result.get(), row, column))};
}

std::optional<std::int64_t> number(const Result& result, int row, int column) {
  const std::string_view digits = text(result, row, column);
  std::int64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || read.ec != std::errc{} || read.ptr != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::string bytes(const Result& result, int row, int column) {
  std::size_t size = 0;
  const std::unique_ptr<unsigned char, decltype(&PQfreemem)> plain{
      PQunescapeBytea(reinterpret_cast<const unsigned char*>(PQgetvalue(result.get(), row, column)), &size), &PQfreemem};
  return plain ? std::string{reinterpret_cast<const char*>(plain.get()), size} : std::string{};
}

struct Look {
  std::string key;
  std::optional<Holder> holder;
  addons::Facts known;  // of the last holder, who may be gone
};

// Of a row of Verb::look or Verb::page.
Look look(const Result& result, int row) {
  Look found{.key = std::string{text(result, row, 0)}, .holder = std::nullopt, .known = addons::decode(bytes(result, row, 3))};
  if (number(result, row, 1) != 1) return found;
  Holder& holder = found.holder.emplace(found.known.holder);
  holder.fence = addons::read_number(text(result, row, 2));
  holder.since.reset();
  if (const auto since = number(result, row, 4)) holder.since = addons::read_time(*since);
  holder.expiry.reset();
  if (const auto left = number(result, row, 5); left && *left >= 0 && *left <= kLongestLease) holder.expiry = clock().wall() + milliseconds{*left};
  if (const auto waiting = number(result, row, 6); waiting && *waiting >= 0) holder.waiting = static_cast<std::uint64_t>(*waiting);
  return found;
}
constexpr int kLookColumns = 7;

}  // namespace

class PostgresLock::Impl {
 public:
  Impl(std::string_view key, std::shared_ptr<addons::postgres::Server> server)
      : server_{std::move(server)}, names_{key, *server_}, listener_{server_, names_.channel, static_cast<std::int64_t>(names_.hash)} {}

  std::optional<Grant> acquire(const Claim& claim) {
    const std::string owner = claim.owner.text();
    const std::string& said = note(claim);
    const auto duration = lease(claim);
    const Deadline deadline{claim.answer_by()};
    doubt_ = owner;
    if (std::exchange(told_, false) && listener_.listening()) {
      const auto taken = listener_.take({names_.key, owner, duration, {said, true}}, deadline);
      if (taken && yes(*taken)) return granted(*taken, claim);
      // Somebody was quicker: who asks again hears how long that lease lasts.
    }
    const Result result = server_->run(Verb::acquire, {names_.key, owner, duration, {said, true}}, 3, deadline);
    const int rows = PQntuples(result.get());
    if (rows > 1) server_->bad_answer();
    if (rows == 0 || PQgetisnull(result.get(), 0, 0)) {
      const auto left = rows == 0 ? std::nullopt : number(result, 0, 2);
      doubt_.clear();
      held_until_ = !left || *left < 0 || *left > kLongestLease ? nanoseconds::max() : clock().monotonic() + milliseconds{*left + 1};
      if (claim.attempt == Attempt::last) listener_.stop();
      return std::nullopt;
    }
    return granted(result, claim);
  }

  bool release(const Claim& claim) {
    const std::string owner = claim.owner.text();
    const Deadline deadline{claim.answer_by()};
    bool in_doubt = begin_release(owner);
    if (release(owner, deadline, &in_doubt)) return true;
    if (!in_doubt) return false;
    // One that had no answer may have been carried out, and others may have had the lock and let it go since: then the table does not remember ours. If they
    // came because our lease was over, our caller knows that.
    const Result last = server_->run(Verb::last, {names_.key}, 2, deadline);
    if (!yes(last)) return false;
    const auto fence = addons::read_number(text(last, 0, 0));
    return fence && *fence > claim.fence && number(last, 0, 1) == 0;
  }

  bool renew(const Claim& claim) {
    const std::string owner = claim.owner.text();
    if (!yes(server_->run(Verb::renew, {names_.key, owner, lease(claim)}, 1, lease_end_.renewal(claim)))) return false;
    lease_end_.note(claim);
    return true;
  }

  bool locked(const Claim& claim) const { return yes(server_->run(Verb::locked, {names_.key}, 1, Deadline{claim.answer_by()})); }

  std::optional<Holder> holder(const Claim& claim) const {
    const Result result = server_->run(Verb::look, {names_.key, names_.high, names_.low}, kLookColumns, Deadline{claim.answer_by()});
    if (!yes(result)) return std::nullopt;
    return look(result, 0).holder;
  }

  void wait(const Claim& claim, nanoseconds deadline, const std::stop_token& stop) {
    if (stop.stop_requested()) return listener_.stop();
    try {
      if (!listener_.listening()) {
        // The look that must follow, for a release that came before we listened, is the try that BaseLock makes when we come back.
        told_ = listener_.start(to_listen(claim, deadline), stop);
        return;
      }
      told_ = listener_.wait(Deadline{std::min(deadline, held_until_)}, stop);
      return;
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
      release(doubt_, Deadline::in(kLastWord));
    } catch (const std::exception&) {
    }
  }

 private:
  // Past the next try, which may come every few milliseconds, so that a slow server is listened to as well; but not past the end of the whole wait.
  static Deadline to_listen(const Claim& claim, nanoseconds deadline) {
    const nanoseconds whole = claim.answer_by();  // a second from now, or the end of the wait where that is later
    const nanoseconds most = clock().monotonic() + kListening;
    return Deadline{whole > most ? most : std::min(deadline, most)};
  }

  Grant granted(const Result& result, const Claim& claim) {
    const auto fence = addons::read_number(text(result, 0, 0));
    const auto abandoned = number(result, 0, 1);
    if (!fence || !abandoned) server_->bad_answer();
    doubt_.clear();
    lease_end_.note(claim);
    if (listener_.listening()) listener_.stop();
    return {.fence = *fence, .abandoned = *abandoned == 1};
  }

  bool release(const std::string& owner, Deadline deadline, bool* asked_twice = nullptr) {
    return yes(server_->run(Verb::release, {names_.key, owner, names_.hash_text, names_.channel}, 1, deadline, asked_twice));
  }

  // Whether a release of this hold was asked for before: only one that had no answer is asked again.
  bool begin_release(const std::string& owner) {
    const std::lock_guard guard{addons::shared()};
    return std::exchange(releasing_, owner) == owner;
  }

  bool yes(const Result& result) const {
    const int rows = PQntuples(result.get());
    if (rows > 1) server_->bad_answer();
    return rows == 1;
  }

  static std::optional<std::string> lease(const Claim& claim) {
    if (claim.expire.is_infinite()) return std::nullopt;
    return std::to_string(addons::kept_by_server(claim.expire).count());
  }

  // The same for every hold of this object, until a fork.
  const std::string& note(const Claim& claim) {
    if (note_.empty() || forks_ != addons::forks()) {
      note_ = addons::encode(addons::facts_of(claim));
      forks_ = addons::forks();
    }
    return note_;
  }

  const std::shared_ptr<addons::postgres::Server> server_;
  const Names names_;
  addons::LeaseEnd lease_end_;
  std::string releasing_;  // owner whose release was asked for last; with shared() held
  // Of do_acquire and do_wait, of which one runs at a time.
  Listener listener_;
  bool told_ = false;         // of a release since the last try, or the try is to be the listener's for another reason
  nanoseconds held_until_{};  // Clock::monotonic(): when the lease of whoever has it ends, unless it is renewed
  std::string doubt_;         // owner in a try that had no answer yet
  std::string note_;
  std::uint64_t forks_ = 0;   // under which the note was made
};

PostgresLock::PostgresLock(std::string name, Options options, Client client)
    : BaseLock{std::move(name), std::move(options), traits, "postgres", Threads::one_at_a_time},
      impl_{std::make_unique<Impl>(key(), std::move(client.server_))} {}

PostgresLock::~PostgresLock() {
  let_go();
  impl_->settle_doubt();
}

std::optional<Grant> PostgresLock::do_acquire(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->acquire(claim); });
}
bool PostgresLock::do_release(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->release(claim); });
}
bool PostgresLock::do_renew(const Claim& claim) {
  return addons::guarded(name(), backend(), [&] { return impl_->renew(claim); });
}
bool PostgresLock::do_locked(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->locked(claim); });
}
std::optional<Holder> PostgresLock::do_holder(const Claim& claim) const {
  return addons::guarded(name(), backend(), [&] { return impl_->holder(claim); });
}
void PostgresLock::do_wait(const Claim& claim, nanoseconds deadline, std::stop_token stop) { impl_->wait(claim, deadline, stop); }

std::vector<LockInfo> PostgresLock::list(const Client& client) {
  return addons::guarded({}, "postgres", [&] {
    std::vector<LockInfo> found;
    const Deadline deadline = Deadline::in(kWalk);
    for (std::string after;;) {
      const Result page = client.server_->run(Verb::page, {after}, kLookColumns, deadline);
      const int rows = PQntuples(page.get());
      for (int row = 0; row < rows; ++row) {
        Look one = look(page, row);
        if (one.key <= after) client.server_->bad_answer();
        after = one.key;
        found.push_back({.name = std::move(one.known.name), .ns = std::move(one.known.ns), .key = std::move(one.key), .path = client.server_->settings().table(),
                         .holder = std::move(one.holder)});
      }
      if (rows == 0) return found;
      if (deadline.passed()) throw Failure{Errc::busy, client.text() + ": the table is too large to look through in time"};
    }
  });
}

std::size_t PostgresLock::clean(const Client& client) {
  return addons::guarded({}, "postgres", [&] { return client.server_->clean(Deadline::in(kWalk)); });
}

}  // namespace sherlock
