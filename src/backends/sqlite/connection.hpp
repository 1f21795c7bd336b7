// SPDX-License-Identifier: MIT
// The database as this process has it open, and its prepared statements. Used by one thread at a time. Never carried across a fork: SQLite keeps per
// file and process what locks it has, and a child that opened the file anew would be told that it has its parent's. So it is closed before a fork, and
// opened again, by whoever needs it, after it. Closing neither checkpoints nor removes the log: that is for those who pass the gate.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "backends/sqlite/rows.hpp"

namespace sherlock::sqlite {

class Connection {
 public:
  // For locks only: made where it is missing, with the mode of the file `mode_of`.
  Connection(std::string path, bool dedicated, std::string mode_of);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Held while any of the rest is called. No cancellation of the thread gets into SQLite, which would not survive it.
  class Use {
   public:
    explicit Use(Connection& connection);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    const std::lock_guard<std::mutex> guard_;
    int cancel_;
  };

  bool is_open() const { return database_ != nullptr; }
  void open();
  // Of a database for locks only. Writes to it: not before it is known to be that.
  void tune();
  void close() noexcept;
  // Statements end before the database does.
  void prepare(const std::string& table, local::Identity me, std::int64_t epoch, std::string holder);
  Rows* rows() const { return rows_.get(); }

  const std::string& path() const { return path_; }
  void execute(const std::string& sql);
  std::optional<std::int64_t> number(const std::string& sql);
  std::optional<std::string> text(const std::string& sql);
  // After an error: no transaction of ours stays open, whatever it was.
  void settle() noexcept;
  // Puts what is in the log into the database, so that the next write begins at the log's beginning again and needs no room. Whether it could.
  bool empty_log() noexcept;
  // Whether the last that was to be put there found no room, so that the log grows: what is reserved of the disk is for those who let go.
  bool log_stuck() const { return log_stuck_; }
  // Whether the file that is open has been moved or removed.
  bool moved();

 private:
  friend struct OpenConnections;

  static int after_commit(void* self, sqlite3* handle, const char* database, int pages);

  const std::string path_, mode_of_;
  const bool dedicated_;
  const char* vfs_ = nullptr;  // SQLite's default
  bool log_stuck_ = false;
  std::mutex mutex_;
  std::unique_ptr<SQLite::Database> database_;
  std::unique_ptr<Rows> rows_;
};

}  // namespace sherlock::sqlite
