// SPDX-License-Identifier: MIT
#include "backends/sqlite/rows.hpp"

#include <SQLiteCpp/Column.h>
#include <fmt/core.h>
#include <sqlite3.h>

#include <utility>

#include "backends/sqlite/sqlite_error.hpp"

namespace sherlock::sqlite {
namespace {

// One run of a prepared statement; afterwards it can be run again, and holds no lock of SQLite's.
class Query {
 public:
  Query(SQLite::Database& database, SQLite::Statement& statement) : database_{database}, statement_{statement} {}
  ~Query() { statement_.tryReset(); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Whether there is a row. What a statement changed is changed when it has none any more.
  bool step() {
    const int code = statement_.tryExecuteStep();
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    sqlite3* const handle = database_.getHandle();
    throw_code(sqlite3_extended_errcode(handle), sqlite3_errmsg(handle), sqlite3_db_filename(handle, "main"), sqlite3_system_errno(handle));
  }

 private:
  SQLite::Database& database_;
  SQLite::Statement& statement_;
};

std::int64_t number(SQLite::Statement& statement, int column) { return statement.getColumn(column).getInt64(); }

std::string bytes(SQLite::Statement& statement, int column) {
  const SQLite::Column value = statement.getColumn(column);
  const void* const data = value.getBlob();
  return {static_cast<const char*>(data ? data : ""), static_cast<std::size_t>(value.getBytes())};
}

// Not copied: the text outlives the run. Null would be NULL.
void bind_bytes(SQLite::Statement& statement, int parameter, std::string_view value) {
  statement.bindNoCopy(parameter, static_cast<const void*>(value.empty() ? "" : value.data()), static_cast<int>(value.size()));
}

constexpr const char* kColumns = "hash, owner, epoch, fence, expires, since, ends";
constexpr const char* kText = "label, ns, name";
constexpr int kTextAt = 7;

// ?3, ?4 and ?8 are ours and stay bound.
std::string taking(const std::string& table, const char* judged) {
  return fmt::format("UPDATE \"{}\" SET owner = ?3, epoch = ?4, fence = fence + 1, expires = ?5, since = ?6, ends = ?7, holder = ?8, label = ?9 "
                     "WHERE id = ?1 AND hash = ?2 AND {}", table, judged);
}

}  // namespace

Rows::Rows(SQLite::Database& database, const std::string& table, local::Identity me, std::int64_t epoch, std::string holder)
    : database_{database}, holder_{std::move(holder)}, me_{owner_of(me)}, epoch_{epoch},
      take_free_{database, taking(table, fmt::format("owner = {} AND fence = ?10", kFree).c_str())},
      take_from_{database, taking(table, "owner = ?10 AND epoch = ?11 AND fence = ?12")},
      add_{database, fmt::format("INSERT INTO \"{}\" (id, hash, owner, epoch, fence, expires, since, ends, holder, label, ns, name) "
                                 "VALUES (?1, ?2, ?3, ?4, ?10, ?5, ?6, ?7, ?8, ?9, ?11, ?12) ON CONFLICT (id) DO NOTHING", table)},
      let_go_{database, fmt::format("UPDATE \"{}\" SET owner = {} WHERE id = ?1 AND fence = ?2 AND owner = ?3 AND epoch = ?4", table, kFree)},
      renew_{database, fmt::format("UPDATE \"{}\" SET expires = ?5, ends = ?6 WHERE id = ?1 AND fence = ?2 AND owner = ?3 AND epoch = ?4 AND expires > ?7",
                                   table)},
      abandon_{database, fmt::format("UPDATE \"{}\" SET owner = {} WHERE id = ?1 AND owner = ?2 AND epoch = ?3 AND fence = ?4", table, kAbandoned)},
      look_{database, fmt::format("SELECT {}, {} FROM \"{}\" WHERE id = ?1", kColumns, kText, table)},
      list_{database, fmt::format("SELECT {}, {}, id FROM \"{}\" WHERE id > ?1 AND owner <> {} ORDER BY id LIMIT ?2", kColumns, kText, table, kAbout)},
      last_{database, fmt::format("SELECT max(id), count(*) FROM (SELECT id FROM \"{}\" WHERE id > ?1 ORDER BY id LIMIT ?2)", table)},
      sweep_{database, fmt::format("DELETE FROM \"{}\" WHERE id > ?1 AND id <= ?2 AND owner = {} AND since < ?3 RETURNING fence", table, kFree)},
      pages_{database, "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"} {
  for (SQLite::Statement* statement : {&take_free_, &take_from_, &add_}) {
    statement->bind(3, me_);
    statement->bind(4, epoch_);
    statement->bindNoCopy(8, holder_);
  }
  for (SQLite::Statement* statement : {&let_go_, &renew_}) {
    statement->bind(3, me_);
    statement->bind(4, epoch_);
  }
}

void Rows::bind(SQLite::Statement& statement, RowKey key, const Terms& terms) {
  statement.bind(1, key.id);
  statement.bind(2, key.hash);
  statement.bind(5, terms.expires);
  statement.bind(6, terms.since);
  statement.bind(7, terms.ends);
  bind_bytes(statement, 9, terms.label);
}

bool Rows::changed(SQLite::Statement& statement) {
  Query query{database_, statement};
  while (query.step()) {
  }
  return database_.getChanges() == 1;
}

bool Rows::take_free(RowKey key, std::uint64_t fence, const Terms& terms) {
  bind(take_free_, key, terms);
  take_free_.bind(10, static_cast<std::int64_t>(fence));
  return changed(take_free_);
}

bool Rows::take_from(RowKey key, const Row& judged, const Terms& terms) {
  bind(take_from_, key, terms);
  take_from_.bind(10, judged.owner);
  take_from_.bind(11, judged.epoch);
  take_from_.bind(12, judged.fence);
  return changed(take_from_);
}

bool Rows::add(RowKey key, const Terms& terms, std::uint64_t first_fence, std::string_view ns, std::string_view name) {
  bind(add_, key, terms);
  add_.bind(10, static_cast<std::int64_t>(first_fence));
  bind_bytes(add_, 11, ns);
  bind_bytes(add_, 12, name);
  return changed(add_);
}

bool Rows::let_go(RowKey key, std::uint64_t fence) {
  let_go_.bind(1, key.id);
  let_go_.bind(2, static_cast<std::int64_t>(fence));
  return changed(let_go_);
}

bool Rows::renew(RowKey key, std::uint64_t fence, std::int64_t now, std::int64_t expires, std::int64_t ends) {
  renew_.bind(1, key.id);
  renew_.bind(2, static_cast<std::int64_t>(fence));
  renew_.bind(5, expires);
  renew_.bind(6, ends);
  renew_.bind(7, now);
  return changed(renew_);
}

bool Rows::ours(RowKey key, std::uint64_t fence) {
  const std::optional<Row> row = look(key);
  return row && row->owner == me_ && row->epoch == epoch_ && row->fence == static_cast<std::int64_t>(fence);
}

void Rows::abandon(RowKey key, const Row& judged) {
  abandon_.bind(1, key.id);
  abandon_.bind(2, judged.owner);
  abandon_.bind(3, judged.epoch);
  abandon_.bind(4, judged.fence);
  changed(abandon_);
}

Row Rows::row_of(SQLite::Statement& statement) {
  return {number(statement, 0), number(statement, 1), number(statement, 2), number(statement, 3),
          number(statement, 4), number(statement, 5), number(statement, 6)};
}

namespace {

Text text_of(SQLite::Statement& statement) { return {bytes(statement, kTextAt), bytes(statement, kTextAt + 1), bytes(statement, kTextAt + 2)}; }

}  // namespace

std::optional<Row> Rows::look(RowKey key, Text* text) {
  look_.bind(1, key.id);
  Query query{database_, look_};
  if (!query.step()) return std::nullopt;
  if (text) *text = text_of(look_);
  return row_of(look_);
}

std::vector<Rows::Listed> Rows::list(std::int64_t behind, int count) {
  list_.bind(1, behind);
  list_.bind(2, count);
  Query query{database_, list_};
  std::vector<Listed> listed;
  while (query.step()) {
    const Row row = row_of(list_);
    listed.push_back({{number(list_, kTextAt + 3), row.hash}, row, text_of(list_)});
  }
  return listed;
}

Rows::Swept Rows::sweep(std::int64_t behind, int count, std::int64_t before, const std::function<void(std::uint64_t)>& note) {
  Swept swept{0, behind, false};
  {
    last_.bind(1, behind);
    last_.bind(2, count);
    Query query{database_, last_};
    if (!query.step() || number(last_, 1) == 0) return swept;
    swept.last = number(last_, 0);
    swept.more = number(last_, 1) == count;
  }
  sweep_.bind(1, behind);
  sweep_.bind(2, swept.last);
  sweep_.bind(3, before);
  Query query{database_, sweep_};
  while (query.step()) {
    note(static_cast<std::uint64_t>(number(sweep_, 0)));
    ++swept.removed;
  }
  return swept;
}

std::int64_t Rows::bytes() {
  Query query{database_, pages_};
  return query.step() ? number(pages_, 0) : 0;
}

}  // namespace sherlock::sqlite
