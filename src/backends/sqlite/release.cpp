// SPDX-License-Identifier: MIT
// The ends of a hold, and its renewal. The row says whether it still is ours; the entry is only for those who wait.
#include <chrono>

#include "backends/sqlite/sqlite_error.hpp"
#include "backends/sqlite/sqlite_impl.hpp"
#include "backends/sqlite/standing.hpp"
#include "local/expiry.hpp"
#include "local/presence.hpp"
#include "local/steps.hpp"
#include "local/word.hpp"
#include "posix/clock.hpp"

namespace sherlock {

using sqlite::Rows;
using sqlite::SqliteStore;

bool SqliteLock::Impl::release(const Claim& claim) {
  SqliteStore* const store = held_at_.load(std::memory_order_relaxed);
  if (!store) return false;
  // Where the store could not be looked at, or is another one by now, the hold is lost; the row is let go of all the same, or it would be in everybody's way
  // for as long as this process lives.
  if (!store->there()) {
    try {
      let_go_of_row(claim, *store);
    } catch (const std::exception&) {
    }
    return false;
  }
  return let_go_of_row(claim, *store);
}

bool SqliteLock::Impl::let_go_of_row(const Claim& claim, SqliteStore& store) {
  bool ours = false;
  local::Found found;
  auto sleeper = local::Sleeper::none;
  try {
    section(claim, store, [&](Rows& rows) {
      ours = rows.let_go(row_, claim.fence);
      SHERLOCK_STEP("sqlite release: the row is free");
      if (!ours) return;
      // Inside the gate, so that nobody's grant comes between the row and its showing.
      try {
        found = store.table().find(store.hash_of(row_));
        const std::uint64_t mine = local::gate::make(local::GateState::held, store.presence().me(), static_cast<std::uint32_t>(claim.fence));
        if (found) sleeper = local::pass_on_unheard(*found.entry, mine);
      } catch (...) {  // nobody is woken: who waits asks for himself before long
      }
    });
  } catch (const sqlite::Moved&) {
    return false;
  }
  // Outside: the first that the one who is woken does is to pass the gate.
  if (found) local::wake(*found.entry, sleeper);
  return ours;
}

bool SqliteLock::Impl::renew(const Claim& claim) {
  SqliteStore* const store = held_at_.load(std::memory_order_relaxed);
  if (!store || !store->there()) return false;
  bool ours = false;
  try {
    section(claim, *store, [&](Rows& rows) {
      if (claim.expire.is_infinite()) {
        ours = rows.ours(row_, claim.fence);
        return;
      }
      claim.refresh_now();
      ours = rows.renew(row_, claim.fence, sqlite::instant(claim.now()), sqlite::expires(claim), sqlite::ends(claim, posix::coarse_wall()));
      SHERLOCK_STEP("sqlite renew: the row is renewed");
      if (!ours) return;
      try {
        if (const local::Found found = store->table().find(store->hash_of(row_)))
          found.entry->expiry.store(local::expiry_record(claim, static_cast<std::uint32_t>(claim.fence)));
      } catch (...) {
      }
    });
  } catch (const sqlite::Moved&) {
    return false;
  }
  return ours;
}

std::vector<int> SqliteLock::Impl::inheritable() const {
  SqliteStore* const store = held_at_.load(std::memory_order_relaxed);
  if (!store) return {};
  return {store->presence().descriptor()};
}

}  // namespace sherlock
