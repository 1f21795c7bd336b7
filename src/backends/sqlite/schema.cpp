// SPDX-License-Identifier: MIT
#include "backends/sqlite/schema.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include <sherlock/clock.hpp>

#include "backends/sqlite/sqlite_error.hpp"
#include "local/steps.hpp"

namespace sherlock::sqlite {
namespace {

using detail::Failure;

constexpr std::int64_t kApplication = 0x53684c6b;  // "ShLk", as application_id
constexpr std::int64_t kVersion = 1;               // user_version there, and `fence` of the row about the table everywhere

// IMMEDIATE: all of it is there afterwards, or nothing. DEFERRED, for mere looks: all is of one moment.
class Transaction {
 public:
  Transaction(Connection& connection, const char* kind) : connection_{connection} { connection_.execute(fmt::format("BEGIN {}", kind)); }
  ~Transaction() { connection_.settle(); }
  void commit() { connection_.execute("COMMIT"); }

 private:
  Connection& connection_;
};

// STRICT only where nobody else's program, with a SQLite older than that word, must be able to read the schema.
std::string table_sql(const Setting& setting) {
  return fmt::format(
      "CREATE TABLE \"{}\" (\n"
      "  id INTEGER PRIMARY KEY,   -- with hash: of ns and name. 0: about this table\n"
      "  hash INTEGER NOT NULL,\n"
      "  owner INTEGER NOT NULL,   -- 2^62: free; 2^62 + 1: its last holder died; above 2^62 + 2^30: a process\n"
      "  epoch INTEGER NOT NULL,   -- since when that process is known by its number\n"
      "  fence INTEGER NOT NULL,   -- one more with every hold\n"
      "  expires INTEGER NOT NULL, -- 2^62 + microseconds since the machine was started; 2^62: never\n"
      "  since INTEGER NOT NULL,   -- nanoseconds since 1970, as is\n"
      "  ends INTEGER NOT NULL,    -- when the lease will be over, as it looked when it began; 2^62: never\n"
      "  holder TEXT NOT NULL,\n"
      "  label BLOB NOT NULL,\n"
      "  ns BLOB NOT NULL,\n"
      "  name BLOB NOT NULL\n"
      "){}", setting.table, setting.dedicated ? " STRICT" : "");
}

// For people: what the numbers mean.
std::string view_sql() {
  const auto time = [](const char* column) { return fmt::format("strftime('%Y-%m-%d %H:%M:%S', {} / 1000000000, 'unixepoch', 'localtime')", column); };
  return fmt::format(
      "CREATE VIEW \"sherlock_locks\" AS SELECT CAST(name AS TEXT) AS name, CAST(ns AS TEXT) AS ns, holder, CAST(label AS TEXT) AS label,\n"
      "  {} AS since, CASE WHEN ends < {} THEN {} END AS expires, fence\n"
      "  FROM \"{}\" WHERE owner >= {}", time("since"), kNever, time("ends"), kTable, kFirstOwner);
}

std::int64_t wall_ns() { return std::chrono::duration_cast<std::chrono::nanoseconds>(clock().wall().time_since_epoch()).count(); }

std::optional<std::string> sql_of(Connection& connection, const std::string& table) {
  return connection.text(fmt::format("SELECT coalesce(sql, '') FROM sqlite_schema WHERE lower(name) = lower('{}')", table));
}

// False: somebody with another companion was quicker.
bool make(Connection& connection, const Setting& setting) {
  Transaction transaction{connection, "IMMEDIATE"};
  if (sql_of(connection, setting.table)) return false;
  connection.execute(table_sql(setting));
  if (setting.dedicated) {
    connection.execute(view_sql());
    connection.execute(fmt::format("PRAGMA application_id = {}", kApplication));
    connection.execute(fmt::format("PRAGMA user_version = {}", kVersion));
  }
  connection.execute(fmt::format("INSERT INTO \"{}\" VALUES (0, {}, {}, {}, {}, {}, {}, {}, 'sherlock', x'', x'', x'')", setting.table,
                                 static_cast<std::int64_t>(setting.file.st_ino), kAbout, setting.epoch, kVersion,
                                 static_cast<std::int64_t>(setting.file.st_dev), wall_ns(), kNever));
  SHERLOCK_STEP("sqlite: the table is about to be there");
  transaction.commit();
  return true;
}

[[noreturn]] void refuse(const Connection& connection, const std::string& why) { throw Failure{Errc::damaged, connection.path() + ": " + why}; }

[[noreturn]] void refuse_version(const Connection& connection, std::int64_t version) {
  refuse(connection, fmt::format("its locks have version {}, this program understands {}. Let all programs use the same version of the library", version,
                                 kVersion));
}

// Whether the database is ours already; if not, it is to be made so.
bool is_ours(Connection& connection) {
  const Transaction one_moment{connection, "DEFERRED"};
  const std::int64_t application = connection.number("PRAGMA application_id").value_or(0);
  const std::int64_t version = connection.number("PRAGMA user_version").value_or(0);
  if (application == kApplication) {
    if (version != kVersion) refuse_version(connection, version);
    return true;
  }
  if (application != 0 || version != 0 || connection.number("SELECT count(*) FROM sqlite_schema").value_or(0) != 0)
    refuse(connection, "it is somebody's database, not one for locks only; say ?table=NAME to keep locks in a table of it");
  return false;
}

// Nobody who died with the last boot, or with the last companion, need be asked any more.
void adopt(Connection& connection, const Setting& setting, bool new_file) {
  Transaction transaction{connection, "IMMEDIATE"};
  connection.execute(fmt::format("UPDATE \"{}\" SET owner = {} WHERE owner >= {}", setting.table, kAbandoned, kFirstOwner));
  if (new_file) {
    // Fences were given out that this file knows nothing of.
    const std::int64_t first = std::max(wall_ns(), static_cast<std::int64_t>(setting.floor));
    connection.execute(fmt::format("UPDATE \"{}\" SET fence = max(fence, {}) WHERE owner <> {}", setting.table, first, kAbout));
  }
  connection.execute(fmt::format("UPDATE \"{}\" SET epoch = {}, hash = {}, expires = {} WHERE id = 0", setting.table, setting.epoch,
                                 static_cast<std::int64_t>(setting.file.st_ino), static_cast<std::int64_t>(setting.file.st_dev)));
  SHERLOCK_STEP("sqlite: the table is about to be adopted");
  transaction.commit();
}

}  // namespace

void settle_schema(Connection& connection, const Setting& setting) {
  if (setting.dedicated) {
    const bool ours = is_ours(connection);
    connection.tune();
    if (!ours && make(connection, setting)) return;
  } else if (!sql_of(connection, setting.table) && make(connection, setting)) {
    return;
  }
  const std::optional<std::string> sql = sql_of(connection, setting.table);
  if (sql != table_sql(setting)) {
    if (setting.dedicated) refuse(connection, "its table is not as this library made it");
    refuse(connection, fmt::format("there is a table {} which is not for locks; name another one", setting.table));
  }

  const auto about = [&](const char* column) {
    return connection.number(fmt::format("SELECT {} FROM \"{}\" WHERE id = 0 AND owner = {}", column, setting.table, kAbout));
  };
  const std::optional<std::int64_t> version = about("fence");
  if (!version) refuse(connection, fmt::format("the row about the table {} is gone; remove the table", setting.table));
  if (version != kVersion) refuse_version(connection, *version);
  const bool new_file = about("hash") != static_cast<std::int64_t>(setting.file.st_ino) || about("expires") != static_cast<std::int64_t>(setting.file.st_dev);
  const bool new_epoch = about("epoch") != setting.epoch;
  if (!new_file && !new_epoch) return;
  // A power cut may have left anything in a file that nobody flushed. Once, before anybody relies on it.
  if (setting.dedicated)
    if (const auto verdict = connection.text("PRAGMA quick_check(1)"); verdict != "ok")
      throw Corrupt{Errc::damaged, fmt::format("{}: {}", connection.path(), verdict.value_or("it cannot be checked"))};
  adopt(connection, setting, new_file);
}

}  // namespace sherlock::sqlite
