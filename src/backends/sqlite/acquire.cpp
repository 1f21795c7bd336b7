// SPDX-License-Identifier: MIT
// From a claim to a grant: the gate, the row, and who waits. Contents: the store; acquiring; what waiters are shown; waiting.
#include <algorithm>
#include <utility>

#include <sherlock/clock.hpp>

#include "backends/sqlite/sqlite_error.hpp"
#include "backends/sqlite/sqlite_impl.hpp"
#include "backends/sqlite/standing.hpp"
#include "core/failure.hpp"
#include "local/expiry.hpp"
#include "local/presence.hpp"
#include "local/steps.hpp"
#include "local/word.hpp"
#include "posix/clock.hpp"
#include "posix/futex.hpp"
#include "posix/process.hpp"

namespace sherlock {

using local::Entry;
using local::Found;
using local::GateState;
using local::Taking;
using sqlite::Rows;
using sqlite::SqliteStore;
using sqlite::Standing;
using std::chrono::nanoseconds;
namespace gate = local::gate;

namespace {

constexpr int kManyRounds = 100;
constexpr nanoseconds kBlindSlice = std::chrono::milliseconds{5};  // who waits where nobody can wake him

bool waits(const Claim& claim) { return claim.attempt == Attempt::waiting || claim.attempt == Attempt::last; }
bool is_lease(const Claim& claim) { return !claim.expire.is_infinite(); }

// What waiters are shown of a hold. The tag is of the fence, so that anybody who sees the row can make the word.
std::uint64_t word_of(local::Identity who, std::uint64_t fence) { return gate::make(GateState::held, who, static_cast<std::uint32_t>(fence)); }

}  // namespace

SqliteLock::Impl::Impl(const std::string& key, SqliteClient client, nanoseconds answer_by)
    : process_{posix::process_token()}, client_{[&] {
        SqliteClient absolute = std::move(client);
        absolute.path = SqliteStore::path_of(absolute);  // whatever the working directory will be later
        return absolute;
      }()},
      row_{sqlite::RowKey::of(key)}, store_{SqliteStore::open_for_later(client_, answer_by)} {}

// ------------------------------------------------------------------------------------------------------------- the store

SqliteLock::Impl::Store SqliteLock::Impl::store() const {
  const std::lock_guard guard{store_mutex_};
  return store_;
}

SqliteLock::Impl::Store SqliteLock::Impl::reopen(const Claim& claim) const {
  Store fresh = SqliteStore::open(client_, posix::Missing::create, claim.answer_by());
  const std::lock_guard guard{store_mutex_};
  return store_ = std::move(fresh);
}

// Only while somebody waits, or did lately, is there an entry.
Found SqliteLock::Impl::entry(SqliteStore& store) const {
  if (waits_at_.get() == &store && waits_for_ && waits_for_.current()) return waits_for_;
  return store.table().find(store.hash_of(row_));
}

// ------------------------------------------------------------------------------------------------------------- acquiring

std::optional<Grant> SqliteLock::Impl::acquire(const Claim& claim) {
  Store at = store();
  for (int round = 0; round < kManyRounds; ++round) {
    if (!at->there(waits(claim) ? local::LookTimer::kWhileWaiting : local::LookTimer::kEvery)) at = reopen(claim);
    if (waits_at_ && waits_at_ != at) give_up_place();
    try {
      std::optional<Grant> grant;
      ToWake next;
      section(claim, *at, [&](Rows& rows) { grant = try_row(claim, *at, rows, next); });
      if (next.entry) local::wake(*next.entry, next.sleeper);
      if (grant) {
        held_at_.store(at.get(), std::memory_order_relaxed);
        at->presence().rearm();
      } else if (claim.attempt == Attempt::last) {
        give_up_place();
      }
      return grant;
    } catch (const sqlite::Moved&) {
      give_up_place();
      at = reopen(claim);
    }
  }
  throw detail::Failure{Errc::busy, at->path() + " is being removed or replaced again and again"};
}

// Inside the gate: nobody of ours changes the row or what waiters are shown of it.
std::optional<Grant> SqliteLock::Impl::try_row(const Claim& claim, SqliteStore& store, Rows& rows, ToWake& next) {
  if (is_lease(claim)) claim.refresh_now();  // there may have been a wait at the gate
  const Found found = entry(store);
  bool looks_held = false;
  if (found) {
    const std::uint64_t word = found.entry->word.load();
    const auto precedence = claim.attempt == Attempt::once ? local::Precedence::ignored : local::Precedence::respected;
    const Taking taking = waits(claim) ? waiter_.judge(store.presence(), *found.entry, word, [&] { return claim.now(); })
                                       : local::judge(store.presence(), *found.entry, word, precedence, [&] { return claim.now(); });
    looks_held = taking == Taking::no;
    if (looks_held && gate::state(word) == GateState::reserved) {  // free, but for somebody who has waited longer
      waits_at_ = this->store();
      waits_for_ = found;
      return std::nullopt;
    }
  }

  const std::int64_t wall = posix::coarse_wall();
  const sqlite::Terms terms{sqlite::expires(claim), wall, sqlite::ends(claim, wall), claim.label};
  Grant grant{};
  bool made = false, granted = false;
  const auto add = [&] {
    store.check_room();
    grant.fence = store.first_fence();
    return made = rows.add(row_, terms, grant.fence, claim.ns, claim.name);
  };
  if (!looks_held) {
    // Where there is an entry, every grant shows its fence there.
    const std::uint64_t shown = found ? found.entry->fence.load() : 0, last = shown != 0 ? shown : fence_;
    grant.fence = last + 1;
    granted = last != 0 ? rows.take_free(row_, last, terms) : add();
  }
  for (int round = 0; !granted; ++round) {
    if (round > kManyRounds) throw detail::Failure{Errc::busy, store.path() + ": the row is changed again and again by somebody else"};
    const std::optional<sqlite::Row> row = rows.look(row_);
    if (!row) {
      granted = add();
      continue;
    }
    if (row->hash != row_.hash) throw detail::Failure{Errc::damaged, store.path() + ": another name has this one's row; choose another name"};
    const Standing standing = sqlite::judge(*row, store.presence(), store.epoch(), [&] { return claim.now(); });
    if (standing == Standing::held) {
      fence_ = static_cast<std::uint64_t>(row->fence);
      if (claim.attempt == Attempt::first || claim.attempt == Attempt::waiting) show_holder(claim, store, *row);
      return std::nullopt;
    }
    grant.abandoned = standing != Standing::free;
    grant.fence = static_cast<std::uint64_t>(row->fence) + 1;
    granted = rows.take_from(row_, *row, terms);
  }
  SHERLOCK_STEP("sqlite grant: the row is ours");
  fence_ = grant.fence;
  // The hold is a hold. What follows is for others, and must not undo it.
  try {
    next = show_grant(claim, store, found, grant);
    if (made) store.sweep_now_and_then(rows);
  } catch (...) {
  }
  return grant;
}

// ------------------------------------------------------------------------------------------------- what waiters are shown

SqliteLock::Impl::ToWake SqliteLock::Impl::show_grant(const Claim& claim, SqliteStore& store, const Found& found, const Grant& grant) {
  if (!found || found.entry != waits_for_.entry || found.tenure != waits_for_.tenure) give_up_place();
  if (!found) return {};
  Entry& entry = *found.entry;
  entry.expiry.store(local::expiry_record(claim, static_cast<std::uint32_t>(grant.fence)));
  entry.fence.store(grant.fence);
  SHERLOCK_STEP("sqlite grant: the expiry is shown");
  const std::uint64_t mine = word_of(store.presence().me(), grant.fence);
  std::uint64_t word = entry.word.load(), flags = 0;
  do flags = waiter_.waiting() ? waiter_.flags_after_taking(entry, word) : gate::flags(word);
  while (!entry.word.compare_exchange_weak(word, mine | flags));
  SHERLOCK_STEP("sqlite grant: shown");
  ToWake next{&entry, waiter_.waiting() ? waiter_.took_unheard(entry, word) : local::Sleeper::none};
  waits_at_.reset();
  waits_for_ = {};
  return next;
}

// For us, who are about to wait for its release or death.
void SqliteLock::Impl::show_holder(const Claim& claim, SqliteStore& store, const sqlite::Row& row) {
  Found found = entry(store);
  try {
    if (!found) found = store.table().find_or_make(store.hash_of(row_), claim.ns, claim.name);
  } catch (const std::exception&) {
    return give_up_place();  // no room for one who waits: then he asks now and then
  }
  if (waits_for_ && (found.entry != waits_for_.entry || found.tenure != waits_for_.tenure)) give_up_place();
  Entry& entry = *found.entry;
  const auto fence = static_cast<std::uint64_t>(row.fence);
  const std::uint64_t holds = word_of(sqlite::identity_of(row.owner), fence);
  std::uint64_t word = entry.word.load();
  if (gate::core(word) != holds) {
    entry.expiry.store(static_cast<std::uint64_t>(std::max<std::int64_t>(row.expires - sqlite::kBase, 0)) << 16 | static_cast<std::uint16_t>(fence));
    entry.fence.store(fence);
    while (!entry.word.compare_exchange_weak(word, holds | (gate::flags(word) & ~gate::kAsleep))) {
    }
    SHERLOCK_STEP("sqlite wait: the holder is shown");
    if (word & gate::kAsleep) {  // for somebody else
      entry.heir.fetch_add(1);
      posix::futex_wake_all(entry.heir);
    }
  }
  waits_at_ = this->store();
  waits_for_ = found;
}

// --------------------------------------------------------------------------------------------------------------- waiting

void SqliteLock::Impl::wait(const Claim&, nanoseconds until, std::stop_token stop) {
  if (stop.stop_requested()) return give_up_place();
  if (!waits_at_ || !waits_for_) return clock().sleep_until(std::min(until, clock().monotonic() + kBlindSlice), std::move(stop));
  waits_at_->presence().rearm();
  waiter_.wait(waits_at_->companion(), waits_for_, until, std::move(stop));
}

void SqliteLock::Impl::give_up_place() {
  if (waits_for_) waiter_.leave(waits_for_);
  waits_at_.reset();
  waits_for_ = {};
}

}  // namespace sherlock
