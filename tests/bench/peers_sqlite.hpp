// SPDX-License-Identifier: MIT
// What one can do with sqlite3 alone: prepared statements, nothing around them.
#pragma once

#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

namespace bench {

// A database of locks with the pragmas of the sqlite backend, and its table with one row.
class SqliteDatabase {
 public:
  explicit SqliteDatabase(const std::string& path) {
    if (sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK) fail();
    sqlite3_busy_timeout(handle_, 1000);  // and then again: a waiter may starve, but it does not give up
    for (const char* sql :
         {"PRAGMA page_size = 1024", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", "PRAGMA wal_autocheckpoint = 100", "PRAGMA cache_size = 200",
          "CREATE TABLE IF NOT EXISTS locks (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, owner INTEGER NOT NULL, epoch INTEGER NOT NULL, fence INTEGER NOT "
          "NULL, expires INTEGER NOT NULL, since INTEGER NOT NULL, ends INTEGER NOT NULL, holder TEXT NOT NULL, label BLOB NOT NULL, name BLOB NOT NULL) STRICT",
          "INSERT OR IGNORE INTO locks VALUES (1, 4611686018427387904, 4611686018427387904, 4611686018427387904, 1, 4611686018427387904, "
          "1700000000000000000, 4611686018427387904, '', x'', x'70616972')"})
      for (int code = SQLITE_BUSY; code != SQLITE_OK;)
        if ((code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr)) != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) fail();
  }
  ~SqliteDatabase() { sqlite3_close_v2(handle_); }
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) fail();
    return statement;
  }
  // Whether it changed a row, or was no statement that could.
  bool run(sqlite3_stmt* statement) {
    int code = SQLITE_ROW;
    while (code == SQLITE_ROW || (code & 0xff) == SQLITE_BUSY) {
      code = sqlite3_step(statement);
      if ((code & 0xff) == SQLITE_BUSY) sqlite3_reset(statement);
    }
    sqlite3_reset(statement);
    if (code != SQLITE_DONE) fail();
    return sqlite3_changes(handle_) > 0;
  }

 private:
  [[noreturn]] void fail() { throw std::runtime_error{sqlite3_errmsg(handle_)}; }

  sqlite3* handle_ = nullptr;
};

// The two statements of an uncontended pair: one takes a free row, for a process, at a time, and asks for the fence; the other lets go of just that.
class SqliteRows {
 public:
  explicit SqliteRows(const std::string& path, long first = 1)
      : database_{path}, id_{first},
        take_{database_.prepare("UPDATE locks SET owner = ?3, epoch = ?4, fence = fence + 1, expires = ?5, since = ?6, ends = ?7, holder = ?8, label = ?9 "
                                "WHERE id = ?1 AND hash = ?2 AND owner = 4611686018427387904 RETURNING fence")},
        let_go_{database_.prepare("UPDATE locks SET owner = 4611686018427387904 WHERE id = ?1 AND owner = ?2 AND epoch = ?3")} {
    for (const auto& [at, value] : {std::pair{2, kNever}, {3, me_}, {4, kNever}, {5, kNever}, {7, kNever}}) sqlite3_bind_int64(take_, at, value);
    sqlite3_bind_text(take_, 8, "a process", -1, SQLITE_STATIC);
    sqlite3_bind_blob(take_, 9, "bench", 5, SQLITE_STATIC);
    sqlite3_bind_int64(let_go_, 2, me_);
    sqlite3_bind_int64(let_go_, 3, kNever);
  }
  ~SqliteRows() {
    sqlite3_finalize(take_);
    sqlite3_finalize(let_go_);
  }
  void lock() {
    timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    sqlite3_bind_int64(take_, 1, id_);
    sqlite3_bind_int64(take_, 6, now.tv_sec * 1'000'000'000 + now.tv_nsec);
    while (!database_.run(take_)) usleep(1000);
  }
  void unlock() {
    sqlite3_bind_int64(let_go_, 1, id_);
    database_.run(let_go_);
  }

 private:
  static constexpr sqlite3_int64 kNever = sqlite3_int64{1} << 62;

  SqliteDatabase database_;
  const sqlite3_int64 id_, me_ = kNever + getpid();
  sqlite3_stmt *const take_, *const let_go_;
};

// The write transaction is the lock: one a database, without an owner.
class SqliteBegin {
 public:
  explicit SqliteBegin(const std::string& path) : database_{path}, begin_{database_.prepare("BEGIN IMMEDIATE")}, commit_{database_.prepare("COMMIT")} {}
  ~SqliteBegin() {
    sqlite3_finalize(begin_);
    sqlite3_finalize(commit_);
  }
  void lock() { database_.run(begin_); }
  void unlock() { database_.run(commit_); }

 private:
  SqliteDatabase database_;
  sqlite3_stmt *const begin_, *const commit_;
};

}  // namespace bench
