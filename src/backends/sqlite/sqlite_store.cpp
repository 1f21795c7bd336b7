// SPDX-License-Identifier: MIT
#include "backends/sqlite/sqlite_store.hpp"

#include <SQLiteCpp/Exception.h>
#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <limits>
#include <tuple>
#include <utility>

#include <sherlock/clock.hpp>

#include "backends/sqlite/remake.hpp"
#include "backends/sqlite/schema.hpp"
#include "backends/sqlite/sqlite_error.hpp"
#include "local/open_stores.hpp"
#include "local/presence.hpp"
#include "posix/clock.hpp"
#include "posix/file.hpp"
#include "posix/futex.hpp"
#include "posix/process.hpp"

namespace sherlock::sqlite {

using detail::Failure;
using std::chrono::nanoseconds;

namespace {

constexpr const char* kCompanion = "-sherlock";
constexpr int kManyRounds = 100;
constexpr unsigned kAsTheDirectoryIs = 0666;  // whoever may write there: what is in it is protected by its own mode

constexpr nanoseconds kFirstNap = std::chrono::microseconds{50};
constexpr int kDoublings = 6;

constexpr std::uint32_t kSweepEvery = 512;
constexpr int kSweepRows = 512;
constexpr std::int64_t kLarge = 8 << 20;                        // beyond this, what nobody has goes at once,
constexpr std::int64_t kUnused = std::int64_t{3600} * 1'000'000'000;  // below, when it was not taken for an hour

using Stores = local::OpenStores<std::tuple<std::string, std::string>, SqliteStore>;

// Empty and errno where it is not there.
std::string real_path(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved{::realpath(path.c_str(), nullptr), std::free};
  return resolved ? resolved.get() : "";
}

// FNV-1a.
std::uint64_t hash_of_table(const std::string& table) {
  std::uint64_t mixed = 0xcbf29ce484222325;
  for (const char c : table) mixed = (mixed ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return mixed;
}

std::string holder_text() { return fmt::format("{} {}", ::getpid(), posix::program_name()); }

}  // namespace

// --------------------------------------------------------------------------------------------------------------- opening

std::string SqliteStore::path_of(const SqliteClient& client) {
  // Neither an environment variable nor the session decides: two processes of a user must not silently use two stores.
  if (client.path.empty()) return fmt::format("/tmp/sherlock-{}/locks.db", geteuid());
  return posix::absolute_path(client.path);
}

// One name for one file, whatever links lead to it: the companion lies beside the file itself.
std::optional<SqliteStore::Where> SqliteStore::locate(const SqliteClient& client, posix::Missing missing, posix::UniqueFd& directory) {
  check(client);  // its members may have been set by hand
  Where where{.directory = {}, .name = {}, .path = path_of(client), .dedicated = client.table.empty(), .table = client.table};
  if (where.dedicated)
    where.table = kTable;
  else if (std::string real = real_path(where.path); !real.empty())
    where.path = std::move(real);
  const std::size_t slash = where.path.rfind('/');
  where.name = where.path.substr(slash + 1);
  where.directory = where.path.substr(0, std::max<std::size_t>(slash, 1));
  if (where.name.empty() || where.name == "." || where.name == "..") throw posix::Unsafe{where.path + " is a directory; name a file in it"};
  if (client.path.empty()) {
    directory = posix::open_store_directory(where.directory, std::nullopt, missing);
  } else {
    const std::string real = real_path(where.directory);
    if (real.empty() && (errno != ENOENT || missing == posix::Missing::create)) posix::throw_errno("cannot open the directory " + where.directory);
    if (real.empty()) return std::nullopt;
    where.directory = real;
    directory = posix::open_store_directory(where.directory, kAsTheDirectoryIs, posix::Missing::refuse);
  }
  if (!directory) return std::nullopt;
  where.path = fmt::format("{}/{}", where.directory == "/" ? "" : where.directory, where.name);
  return where;
}

std::shared_ptr<SqliteStore> SqliteStore::open(const SqliteClient& client, posix::Missing missing, nanoseconds answer_by) {
  return Stores::find_or_open({path_of(client), client.table}, [&] { return open_patiently(client, missing, answer_by); });
}

std::shared_ptr<SqliteStore> SqliteStore::open_for_later(const SqliteClient& client, nanoseconds answer_by) {
  return Stores::find_or_open({path_of(client), client.table}, [&] { return open_patiently(client, posix::Missing::create, answer_by); },
                              [](SqliteStore& store) { return store.there(); });
}

std::shared_ptr<SqliteStore> SqliteStore::open_patiently(const SqliteClient& client, posix::Missing missing, nanoseconds answer_by) {
  for (int round = 0; round < kManyRounds; ++round) try {
      return open_present(client, missing, answer_by);
    } catch (const Moved&) {  // removed or replaced while it was opened
    }
  throw Failure{Errc::busy, path_of(client) + " is being removed or replaced again and again"};
}

std::shared_ptr<SqliteStore> SqliteStore::open_present(const SqliteClient& client, posix::Missing missing, nanoseconds answer_by) {
  posix::UniqueFd directory;
  const std::optional<Where> where = locate(client, missing, directory);
  if (!where) return nullptr;
  posix::check_local(directory.get(), where->directory);
  std::optional<unsigned> mode;
  struct stat file;
  if (posix::sys_fstatat(directory.get(), where->name.c_str(), &file, AT_SYMLINK_NOFOLLOW) == 0) {
    if (file.st_mode & 0022) mode = file.st_mode & 0666;  // shared between users, and so is its companion
    if (S_ISLNK(file.st_mode)) throw posix::Unsafe{where->path + " is a symbolic link; name the database itself"};
    posix::check_lock_file(file, where->path, mode.has_value());
  } else if (errno != ENOENT) {
    posix::throw_errno("cannot look at " + where->path);
  } else if (missing == posix::Missing::refuse) {
    return nullptr;
  } else if (!where->dedicated) {
    throw Failure{Errc::cannot_create, fmt::format("{} is not there; it is made by the program whose database it is", where->path),
                  {ENOENT, std::generic_category()}};
  }
  return std::shared_ptr<SqliteStore>{new SqliteStore{*where, std::move(directory), mode, answer_by}};
}

SqliteStore::SqliteStore(Where where, posix::UniqueFd directory, std::optional<unsigned> mode, nanoseconds answer_by)
    : where_{std::move(where)}, table_hash_{hash_of_table(where_.table)}, directory_{std::move(directory)},
      companion_{local::Companion::open({directory_.get(), (where_.name + kCompanion).c_str(), where_.path + kCompanion, mode})},
      table_{*companion_}, beside_{directory_.get(), where_.name}, gate_{*companion_, table_, answer_by},
      connection_{where_.path, where_.dedicated, where_.path + kCompanion} {
  section([&] { return answer_by; }, [](Rows&) {});
}

struct stat SqliteStore::stat_of(const std::string& name) const {
  struct stat file;
  if (posix::sys_fstatat(directory_.get(), name.c_str(), &file, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) throw Moved{};
    posix::throw_errno("cannot look at " + where_.path);
  }
  return file;
}

// By whoever passed the gate.
void SqliteStore::open_database() {
  const bool first = file_.st_ino == 0;
  if (first && where_.dedicated) beside_.remove_orphans();
  beside_.guard();
  connection_.open();
  const struct stat file = stat_of(where_.name);
  if (connection_.moved() || (!first && !posix::same_file(file, file_))) throw Moved{};
  settle_schema(connection_, {where_.dedicated, where_.table, epoch(), file, companion_->header().floor.load()});
  connection_.prepare(where_.table, presence().me(), epoch(), holder_text());
  logs_.store(beside_.inodes(), std::memory_order_relaxed);
  beside_.guard();
  if (!first) return;
  if (where_.dedicated) beside_.reserve_room();
  file_ = file;
  companion_->header().database.store(file.st_ino);
  if (where_.dedicated) record_as_made(file, *companion_, directory_.get());
}

void SqliteStore::connect() {
  try {
    open_database();
  } catch (const Corrupt&) {
    connection_.close();
    if (file_.st_ino != 0 || !where_.dedicated || !set_aside(where_.name, stat_of(where_.name), *companion_, table_, directory_.get())) throw;
    open_database();
  }
}

// --------------------------------------------------------------------------------------------------------------- its use

// False: somebody who does not pass the gate has it locked.
bool SqliteStore::enter(void* todo, void (*work)(void*, Rows&)) {
  try {
    try {
      if (log_replaced_.exchange(false, std::memory_order_relaxed)) connection_.close();
      if (!connection_.rows()) {
        connection_.close();
        connect();
      }
      // Removed or replaced, and somebody has opened what is there now: no grant here may follow one there.
      if (companion_->header().database.load(std::memory_order_relaxed) != file_.st_ino) throw Moved{};
      try {
        work(todo, *connection_.rows());
      } catch (const Full&) {
        connection_.settle();
        if (!where_.dedicated || !connection_.empty_log()) throw;
        work(todo, *connection_.rows());
      }
      return true;
    } catch (const SQLite::Exception& e) {
      throw_code(e.getExtendedErrorCode(), e.what(), where_.path);
    }
  } catch (const Busy& busy) {
    connection_.settle();
    busy_ = busy.code;
    return false;
  } catch (const Full&) {
    connection_.settle();
    throw;
  } catch (...) {
    connection_.close();  // whatever is wrong with it, or with what it has open: the next one begins anew
    throw;
  }
}

void SqliteStore::wait_for_outsider(int round, nanoseconds answer_by) {
  const nanoseconds now = clock().monotonic();
  if (now >= answer_by)
    throw Failure{Errc::busy, fmt::format("{}: {}; another program, or a transaction of this very thread, has it locked", where_.path, describe(busy_))};
  const timespec nap = posix::as_timespec(std::min(answer_by - now, kFirstNap * (1 << std::min(round, kDoublings))));
  nanosleep(&nap, nullptr);
}

bool SqliteStore::current() {
  struct stat now;
  const auto still = [&](const std::string& path, const struct stat& ours) {
    return posix::sys_fstatat(AT_FDCWD, path.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && posix::same_file(now, ours);
  };
  if (!still(where_.path, file_) || !still(companion_->path(), companion_->file_stat()) || !presence().intact()) return false;
  // A stranger who was let think that he was the last has removed the log. The rows are where they were; only our connection is not.
  if (const std::uint64_t logs = logs_.load(std::memory_order_relaxed); logs != 0 && beside_.inodes() != logs) log_replaced_ = true;
  return true;
}

std::uint64_t SqliteStore::first_fence() const {
  const auto wall = std::chrono::duration_cast<nanoseconds>(clock().wall().time_since_epoch()).count();
  return std::max(static_cast<std::uint64_t>(wall), companion_->header().floor.load() + 1);
}

void SqliteStore::raise_floor(std::uint64_t fence) {
  local::Word64& floor = companion_->header().floor;
  std::uint64_t present = floor.load();
  while (present < fence && !floor.compare_exchange_weak(present, fence)) {
  }
}

void SqliteStore::check_room() const {
  if (connection_.log_stuck()) throw_code(SQLITE_FULL, "the disk is full, and what is left is for those who let go", where_.path, ENOSPC);
}

void SqliteStore::sweep_now_and_then(Rows& rows) {
  if (++made_ % kSweepEvery != 0) return;
  if (where_.dedicated) beside_.reserve_room();
  const bool large = where_.dedicated && rows.bytes() > kLarge;
  const std::int64_t before = large ? std::numeric_limits<std::int64_t>::max() : posix::coarse_wall() - kUnused;
  // Round and round; each process begins elsewhere.
  const Rows::Swept swept = rows.sweep(sweep_at_, kSweepRows, before, [this](std::uint64_t fence) { raise_floor(fence); });
  sweep_at_ = swept.more ? swept.last : std::numeric_limits<std::int64_t>::min();
}

}  // namespace sherlock::sqlite
