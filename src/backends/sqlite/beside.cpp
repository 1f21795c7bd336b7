// SPDX-License-Identifier: MIT
#include "backends/sqlite/beside.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "backends/sqlite/sqlite_error.hpp"
#include "posix/file.hpp"
#include "posix/syscall.hpp"
#include "posix/unique_fd.hpp"

namespace sherlock::sqlite {
namespace {

constexpr const char* kLog = "-wal";
constexpr const char* kIndex = "-shm";
constexpr const char* kJournal = "-journal";  // of a database without a log
constexpr off_t kRoom = 512 << 10;  // a log between two checkpoints, and more than the rows between two sweeps

}  // namespace

std::uint64_t Beside::inodes() const {
  std::uint64_t both = 0;
  for (const char* name : {kLog, kIndex}) {
    struct stat file;
    if (posix::sys_fstatat(directory_, (database_ + name).c_str(), &file, AT_SYMLINK_NOFOLLOW) == 0) both = both << 32 ^ file.st_ino;
  }
  return both;
}

// What is left beside a database that was removed belongs to those who still have it open. A new database must not share it with them: SQLite finds its log
// and the log's index by their names alone.
void Beside::remove_orphans() const {
  struct stat file;
  if (posix::sys_fstatat(directory_, database_.c_str(), &file, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT) return;
  for (const char* orphan : {kLog, kIndex}) posix::syscalls().unlinkat(directory_, (database_ + orphan).c_str(), 0);
}

// Whoever closes the database and finds nobody else with it empties the log and removes it. That we have it is a POSIX lock of SQLite's, and gone when
// anybody in this process closes the file, be it to read it or as another copy of SQLite. So we have the same bytes locked in a way that nobody else's close
// can undo. Not without a log: a writer has all to himself there; nor while there is a journal, which is to be rolled back by somebody who has.
void Beside::guard() {
  struct stat now;
  if (posix::sys_fstatat(directory_, (database_ + kJournal).c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0) return;
  if (posix::sys_fstatat(directory_, database_.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0 || (guard_ && posix::same_file(now, guard_.opened()))) return;
  posix::LockFd fd = posix::LockFd::open_kept(directory_, database_.c_str(), O_RDWR | O_NONBLOCK);
  char versions[2] = {};  // for writing and for reading: 2 with a log (fileformat2.html, 1.3)
  if (!fd || ::pread(fd.get(), versions, sizeof versions, 18) != sizeof versions || versions[1] != 2) return;
  // Where SQLite's os_unix.c has the shared lock of a connection.
  struct flock range = posix::byte_range(F_RDLCK, 0x40000002, 510);
  if (posix::sys_fcntl_lock(fd.get(), F_OFD_SETLK, &range) != 0) {
    if (errno == EAGAIN || errno == EACCES) throw Busy{SQLITE_BUSY};
    return;  // a second line of defence, where there are such locks
  }
  guard_ = std::move(fd);
}

// For the writes to come, so that whoever could take a lock can let it go on a disk that has become full: in the log until the next checkpoint, and in
// the database for what the checkpoint brings there. Neither file becomes longer by it. Best effort.
void Beside::reserve_room() const {
  const auto reserve = [](int fd, off_t more) {
    struct stat now;
    if (fd >= 0 && posix::sys_fstat(fd, &now) == 0) static_cast<void>(::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, now.st_size + more));
  };
  reserve(guard_.get(), kRoom);
  // Nobody has POSIX locks on the log: it may be closed.
  const posix::UniqueFd log{posix::sys_openat(directory_, (database_ + kLog).c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC)};
  reserve(log.get(), kRoom);
}

}  // namespace sherlock::sqlite
