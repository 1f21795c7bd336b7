// SPDX-License-Identifier: MIT
// A database with its companion, as this process has it open. One for all locks of the process in that table; never closed, for locks of static
// duration may outlive everything else. After a fork the child opens its own.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <sherlock/sqlite_lock.hpp>

#include "backends/sqlite/beside.hpp"
#include "backends/sqlite/connection.hpp"
#include "backends/sqlite/write_gate.hpp"
#include "local/companion.hpp"
#include "local/look_timer.hpp"
#include "local/table.hpp"
#include "posix/file.hpp"
#include "posix/process.hpp"
#include "posix/unique_fd.hpp"

namespace sherlock::sqlite {

// Throws ConfigurationException where it makes no sense.
void check(const SqliteClient& client);

class SqliteStore {
 public:
  // Null: it is missing and was not to be made. Many may want to open it at one moment, and each passes the gate: they have until `answer_by`. Throws what
  // posix/file.hpp, local/companion.hpp, write_gate.hpp and schema.hpp throw.
  static std::shared_ptr<SqliteStore> open(const SqliteClient& client, posix::Missing missing, std::chrono::nanoseconds answer_by);
  // The same as of the last look at an open one, for a lock that is only being made: it looks when it is used.
  static std::shared_ptr<SqliteStore> open_for_later(const SqliteClient& client, std::chrono::nanoseconds answer_by);

  // The absolute path of a client, as it was given.
  static std::string path_of(const SqliteClient& client);

  const std::string& path() const { return where_.path; }
  local::Companion& companion() { return *companion_; }
  local::Table& table() { return table_; }
  const local::Presence& presence() const { return companion_->presence(); }
  std::int64_t epoch() const { return companion_->epoch(); }
  // Of a key in the companion, where the keys of several tables meet.
  local::KeyHash hash_of(RowKey key) const { return {{static_cast<std::uint64_t>(key.id), static_cast<std::uint64_t>(key.hash) ^ table_hash_}}; }

  // Whether a process that comes now finds the same database and companion, and our presence still counts.
  bool current();
  // The same as of the last look, which is made anew when it is `every` nanoseconds old. Once false, always false.
  bool there(std::int64_t every = local::LookTimer::kEvery) {
    if (gone_.load(std::memory_order_relaxed)) return false;
    if (!look_.due(every) || current()) return true;
    gone_.store(true, std::memory_order_relaxed);
    return false;
  }

  // work(rows) inside the gate, with the database to ourselves as far as our processes go; again and again while an outsider has it locked. A Failure
  // (busy) when there was no getting in by `answer_by()`.
  template <class AnswerBy, class Work>
  void section(AnswerBy answer_by, Work work) {
    for (int round = 0;; ++round) {
      {
        const WriteGate::Pass pass = gate_.enter(answer_by);
        const Connection::Use use{connection_};
        if (enter(&work, [](void* todo, Rows& rows) { (*static_cast<Work*>(todo))(rows); })) return;
      }
      wait_for_outsider(round, answer_by());
    }
  }

  // To be called in the section, before a row is made: throws Full where new rows would take the room that is kept for letting go.
  void check_room() const;
  // To be called in the section, after a row was made: now and then what nobody uses is forgotten, so that the table stays small.
  void sweep_now_and_then(Rows& rows);
  // What a key's first fence is not to be below.
  std::uint64_t first_fence() const;
  void raise_floor(std::uint64_t fence);

 private:
  struct Where {
    std::string directory, name, path;
    bool dedicated;
    std::string table;
  };
  static std::optional<Where> locate(const SqliteClient& client, posix::Missing missing, posix::UniqueFd& directory);

  static std::shared_ptr<SqliteStore> open_patiently(const SqliteClient& client, posix::Missing missing, std::chrono::nanoseconds answer_by);
  static std::shared_ptr<SqliteStore> open_present(const SqliteClient& client, posix::Missing missing, std::chrono::nanoseconds answer_by);
  SqliteStore(Where where, posix::UniqueFd directory, std::optional<unsigned> mode, std::chrono::nanoseconds answer_by);
  bool enter(void* todo, void (*work)(void*, Rows&));
  void wait_for_outsider(int round, std::chrono::nanoseconds answer_by);
  void open_database();
  void connect();
  struct stat stat_of(const std::string& name) const;

  const Where where_;
  const std::uint64_t table_hash_;
  const posix::UniqueFd directory_;
  std::unique_ptr<local::Companion> companion_;
  local::Table table_;
  Beside beside_;
  WriteGate gate_;
  Connection connection_;
  struct stat file_ {};                     // the database
  std::atomic<std::uint64_t> logs_{0};      // as Beside::inodes() when the connection was opened
  std::atomic<bool> log_replaced_{false}, gone_{false};
  local::LookTimer look_;
  std::uint32_t made_ = 0;                  // rows
  std::int64_t sweep_at_ = static_cast<std::int64_t>(posix::process_token());
  int busy_ = 0;                            // what SQLite said last of an outsider
};

}  // namespace sherlock::sqlite
