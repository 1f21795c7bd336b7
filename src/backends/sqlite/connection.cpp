// SPDX-License-Identifier: MIT
#include "backends/sqlite/connection.hpp"

#include <SQLiteCpp/Exception.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <pthread.h>
#include <sqlite3.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/sqlite/log_locks.hpp"
#include "backends/sqlite/sqlite_error.hpp"
#include "posix/descriptors.hpp"

namespace sherlock::sqlite {

// Never destroyed, as the connections themselves.
struct OpenConnections {
  std::mutex mutex;
  std::vector<Connection*> all;

  static OpenConnections& here() {
    static OpenConnections* const made = [] {
      // Handlers run before a fork in the reverse order of their registration, and theirs must run after ours: who uses a connection may open files with
      // its mutex held, never the other way round. This opens nothing, and has them register.
      static_cast<void>(posix::LockFd::open(AT_FDCWD, "", O_RDONLY));
      pthread_atfork([] { here().before_fork(); }, [] { here().after_fork(); }, [] { here().after_fork(); });
      return new OpenConnections;
    }();
    return *made;
  }

 private:
  // No thread is inside SQLite while the process is copied, and there is no connection that could be.
  void before_fork() {
    mutex.lock();
    for (Connection* connection : all) {
      connection->mutex_.lock();
      connection->close();
    }
  }
  void after_fork() {
    for (Connection* connection : all) connection->mutex_.unlock();
    mutex.unlock();
  }
};

namespace {

// Made while the program is loaded: a fork in the middle of the first use would leave the child waiting for its end.
[[maybe_unused]] const OpenConnections& made_at_start = OpenConnections::here();

// A URI, for the one thing that only a URI can say: whose mode a new file takes.
std::string uri_of(const std::string& path, const std::string& mode_of) {
  const auto escaped = [](const std::string& text) {
    std::string result;
    for (const char c : text) {
      constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-";
      if (kPlain.find(c) != std::string_view::npos)
        result += c;
      else
        result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return result;
  };
  return fmt::format("file:{}?modeof={}", escaped(path), escaped(mode_of));
}

constexpr int kPagesOfLog = 100;  // then they go to the database

void set(sqlite3* handle, int option, int value) { sqlite3_db_config(handle, option, value, nullptr); }

}  // namespace

Connection::Connection(std::string path, bool dedicated, std::string mode_of)
    : path_{std::move(path)}, mode_of_{std::move(mode_of)}, dedicated_{dedicated} {
  OpenConnections& open = OpenConnections::here();
  const std::lock_guard guard{open.mutex};
  vfs_ = vfs_with_log_locks();
  open.all.push_back(this);
}

Connection::~Connection() {
  OpenConnections& open = OpenConnections::here();
  const std::lock_guard guard{open.mutex};
  close();  // no fork while it is
  open.all.erase(std::remove(open.all.begin(), open.all.end(), this), open.all.end());
}

Connection::Use::Use(Connection& connection) : guard_{connection.mutex_} { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_); }

Connection::Use::~Use() { pthread_setcancelstate(cancel_, nullptr); }

void Connection::open() {
  if (sqlite3_threadsafe() == 0)
    throw detail::Failure{Errc::unavailable, "this program's SQLite was built without thread safety; use another one, or the backend `file`"};
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW;
  const std::string vfs = vfs_ != nullptr ? vfs_ : "";
  try {
    database_ = dedicated_ ? std::make_unique<SQLite::Database>(uri_of(path_, mode_of_), kFlags | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI, 0, vfs)
                           : std::make_unique<SQLite::Database>(path_, kFlags, 0, vfs);
    sqlite3* const handle = database_->getHandle();
    sqlite3_extended_result_codes(handle, 1);
    // Whatever the schema says: nobody's code runs in our statements.
    set(handle, SQLITE_DBCONFIG_DEFENSIVE, 1);
    set(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0);
    set(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0);
    set(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1);
  } catch (const SQLite::Exception& e) {
    close();
    throw_code(e.getExtendedErrorCode(), e.what(), path_);
  } catch (...) {
    close();
    throw;
  }
}

// Locks do not outlive the machine's uptime, so nothing is ever flushed to the disk; the log makes a process that dies in the middle harmless. What the
// numbers are worth is in docs/backends/sqlite.md. page_size counts only before the first table, and mode and size stay in the file.
void Connection::tune() {
  execute("PRAGMA page_size = 2048");
  if (text("PRAGMA journal_mode = WAL") != "wal")
    throw detail::Failure{Errc::unavailable, path_ + ": SQLite cannot keep a write-ahead log here; name a database on another file system"};
  execute("PRAGMA synchronous = OFF");
  sqlite3_wal_hook(database_->getHandle(), after_commit, this);
  execute("PRAGMA cache_size = -2000");
  execute("PRAGMA cell_size_check = ON");
  execute("PRAGMA mmap_size = 0");
  execute("PRAGMA temp_store = MEMORY");
}

void Connection::prepare(const std::string& table, local::Identity me, std::int64_t epoch, std::string holder) {
  try {
    rows_ = std::make_unique<Rows>(*database_, table, me, epoch, std::move(holder));
  } catch (const SQLite::Exception& e) {
    throw_code(e.getExtendedErrorCode(), e.what(), path_);
  }
}

void Connection::close() noexcept {
  log_stuck_ = false;
  rows_.reset();
  database_.reset();
}

void Connection::execute(const std::string& sql) {
  try {
    database_->exec(sql);
  } catch (const SQLite::Exception& e) {
    throw_code(e.getExtendedErrorCode(), e.what(), path_, sqlite3_system_errno(database_->getHandle()));
  }
}

std::optional<std::string> Connection::text(const std::string& sql) {
  try {
    SQLite::Statement statement{*database_, sql};
    if (!statement.executeStep()) return std::nullopt;
    return statement.getColumn(0).getString();
  } catch (const SQLite::Exception& e) {
    throw_code(e.getExtendedErrorCode(), e.what(), path_, sqlite3_system_errno(database_->getHandle()));
  }
}

std::optional<std::int64_t> Connection::number(const std::string& sql) {
  try {
    SQLite::Statement statement{*database_, sql};
    if (!statement.executeStep()) return std::nullopt;
    return statement.getColumn(0).getInt64();
  } catch (const SQLite::Exception& e) {
    throw_code(e.getExtendedErrorCode(), e.what(), path_, sqlite3_system_errno(database_->getHandle()));
  }
}

void Connection::settle() noexcept {
  if (database_ && sqlite3_get_autocommit(database_->getHandle()) == 0) database_->tryExec("ROLLBACK");
}

bool Connection::empty_log() noexcept {
  const bool emptied = sqlite3_wal_checkpoint_v2(database_->getHandle(), "main", SQLITE_CHECKPOINT_RESTART, nullptr, nullptr) == SQLITE_OK;
  if (emptied) log_stuck_ = false;
  return emptied;
}

// As SQLite's own wal_autocheckpoint, which tells nobody that it could not.
int Connection::after_commit(void* self, sqlite3* handle, const char* database, int pages) {
  if (pages < kPagesOfLog) return SQLITE_OK;
  const int code = sqlite3_wal_checkpoint_v2(handle, database, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) & 0xff;
  static_cast<Connection*>(self)->log_stuck_ = code == SQLITE_FULL || code == SQLITE_IOERR;
  return SQLITE_OK;  // what was committed is committed
}

bool Connection::moved() {
  int moved = 0;
  return sqlite3_file_control(database_->getHandle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0;
}

}  // namespace sherlock::sqlite
