// SPDX-License-Identifier: MIT
// Looking at locks: one of them, or all of a database; and forgetting those that nobody uses.
#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <sherlock/clock.hpp>

#include "backends/sqlite/sqlite_error.hpp"
#include "backends/sqlite/sqlite_impl.hpp"
#include "backends/sqlite/standing.hpp"
#include "core/failure.hpp"
#include "core/key.hpp"
#include "local/facts.hpp"
#include "local/wait_cells.hpp"
#include "local/word.hpp"

namespace sherlock {

using sqlite::Row;
using sqlite::Rows;
using sqlite::SqliteStore;
using sqlite::Standing;
using std::chrono::nanoseconds;
using std::chrono::system_clock;

namespace {

constexpr int kRowsAtATime = 500;  // others want to get at the database too
constexpr nanoseconds kPatience = std::chrono::seconds{10};
constexpr std::int64_t kBeforeAll = std::numeric_limits<std::int64_t>::min(), kAfterAll = std::numeric_limits<std::int64_t>::max();

Standing judge_now(const Row& row, const SqliteStore& store) {
  return sqlite::judge(row, store.presence(), store.epoch(), [] { return clock().boottime(); });
}

Holder holder_of(SqliteStore& store, const Row& row, std::string label, sqlite::RowKey key) {
  // Of a process that is just taking a lock, the companion tells the process and nothing else.
  Holder holder = local::facts_of(store.companion(), store.table(), {}, local::gate::make(local::GateState::acquiring, sqlite::identity_of(row.owner), 0));
  holder.label = std::move(label);
  holder.since = system_clock::time_point{std::chrono::duration_cast<system_clock::duration>(nanoseconds{row.since})};
  holder.fence = static_cast<std::uint64_t>(row.fence);
  if (row.expires > sqlite::kNever) {
    const nanoseconds left = std::chrono::microseconds{row.expires - sqlite::kBase} - clock().boottime();
    holder.expiry = clock().wall() + std::chrono::duration_cast<system_clock::duration>(left);
  }
  const local::Found found = store.table().find(store.hash_of(key));
  holder.waiting = found ? local::WaitCells{store.companion()}.count(found.number) : 0;
  return holder;
}

// For those who read the table with other programs: a dead holder is shown until somebody looks who can tell. Best effort.
void show_as_left(Rows& rows, sqlite::RowKey key, const Row& row) {
  if (row.owner == sqlite::kAbandoned) return;
  try {
    rows.abandon(key, row);
  } catch (const detail::Failure&) {
  } catch (const sqlite::Busy&) {
  }
}

// In portions, each of which passes the gate anew. `portion(rows)` says whether there is more.
template <class Portion>
void in_portions(SqliteStore& store, Portion portion) {
  const nanoseconds answer_by = clock().monotonic() + kPatience;
  try {
    bool more = true;
    do store.section([&] { return answer_by; }, [&](Rows& rows) { more = portion(rows); });
    while (more);
  } catch (const sqlite::Moved&) {
    throw detail::Failure{Errc::busy, store.path() + " was removed or replaced just now"};
  }
}

}  // namespace

bool SqliteLock::Impl::locked(const Claim& claim) const { return holder(claim).has_value(); }

std::optional<Holder> SqliteLock::Impl::holder(const Claim& claim) const {
  Store at = store();
  if (!at->current()) at = reopen(claim);
  std::optional<Holder> holder;
  try {
    section(claim, *at, [&](Rows& rows) {
      sqlite::Text text;
      const std::optional<Row> row = rows.look(row_, &text);
      if (!row || row->hash != row_.hash) return;
      const Standing standing = judge_now(*row, *at);
      if (standing == Standing::held) holder = holder_of(*at, *row, std::move(text.label), row_);
      if (standing == Standing::left) show_as_left(rows, row_, *row);
    });
  } catch (const sqlite::Moved&) {
    return std::nullopt;  // whoever had it there has it no more
  }
  return holder;
}

std::vector<LockInfo> SqliteLock::list(const Client& client) {
  return detail::guarded({}, "sqlite", [&] {
    std::vector<LockInfo> locks;
    const auto store = SqliteStore::open(client, posix::Missing::refuse, clock().monotonic() + kPatience);
    if (!store) return locks;
    std::int64_t behind = kBeforeAll;
    in_portions(*store, [&](Rows& rows) {
      std::vector<Rows::Listed> listed = rows.list(behind, kRowsAtATime);
      for (auto& [key, row, text] : listed) {
        behind = key.id;
        LockInfo info{.name = text.name, .ns = text.ns, .key = detail::make_key(text.ns, text.name), .path = store->path(), .holder = {}};
        const Standing standing = judge_now(row, *store);
        if (standing == Standing::held) info.holder = holder_of(*store, row, std::move(text.label), key);
        if (standing == Standing::left) show_as_left(rows, key, row);
        locks.push_back(std::move(info));
      }
      return listed.size() == kRowsAtATime;
    });
    std::sort(locks.begin(), locks.end(), [](const LockInfo& a, const LockInfo& b) { return std::tie(a.ns, a.name) < std::tie(b.ns, b.name); });
    return locks;
  });
}

std::size_t SqliteLock::clean(const Client& client) {
  return detail::guarded({}, "sqlite", [&]() -> std::size_t {
    const auto store = SqliteStore::open(client, posix::Missing::refuse, clock().monotonic() + kPatience);
    if (!store) return 0;
    std::size_t forgotten = 0;
    std::int64_t behind = kBeforeAll;
    in_portions(*store, [&](Rows& rows) {
      const Rows::Swept swept = rows.sweep(behind, kRowsAtATime, kAfterAll, [&](std::uint64_t fence) { store->raise_floor(fence); });
      behind = swept.last;
      forgotten += static_cast<std::size_t>(swept.removed);
      return swept.more;
    });
    in_portions(*store, [&](Rows&) {
      store->table().for_each([&](const local::Found& found) { store->table().forget_unused(found); });
      return false;
    });
    return forgotten;
  });
}

}  // namespace sherlock
