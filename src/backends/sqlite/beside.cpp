// SPDX-License-Identifier: MIT
#include "backends/sqlite/beside.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <cerrno>

#include "posix/file.hpp"
#include "posix/syscall.hpp"
#include "posix/unique_fd.hpp"

namespace sherlock::sqlite {
namespace {

constexpr const char* kLog = "-wal";
constexpr const char* kIndex = "-shm";
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

// SQLite's own locks are POSIX locks: they are gone when anybody in this process closes the file, be it to read it or as another copy of SQLite. Two of them
// are there for good and keep outsiders from removing the log and from clearing its index, both while we use them. So we have the same bytes locked through
// descriptors of our own, in a way that nobody else's close can undo. These are never closed while SQLite has the file open.
void Beside::guard() {
  const auto share = [this](posix::LockFd& guard, const std::string& name, off_t start, off_t length) {
    struct stat now;
    if (posix::sys_fstatat(directory_, name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0 || (guard && posix::same_file(now, guard.opened())))
      return;
    guard = posix::LockFd::open(directory_, name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    struct flock range {};
    range.l_type = F_RDLCK;
    range.l_whence = SEEK_SET;
    range.l_start = start;
    range.l_len = length;
    if (guard) posix::sys_fcntl_lock(guard.get(), F_OFD_SETLK, &range);  // best effort: it is a second line
  };
  // Where SQLite's os_unix.c has the shared lock of a connection, and the dead man's switch of the index.
  share(database_guard_, database_, 0x40000002, 510);
  share(index_guard_, database_ + kIndex, 128, 1);
}

// For the writes to come, so that whoever could take a lock can let it go on a disk that has become full: in the log until the next checkpoint, and in
// the database for what the checkpoint brings there. Neither file becomes longer by it. Best effort.
void Beside::reserve_room() const {
  const auto reserve = [](int fd, off_t more) {
    struct stat now;
    if (fd >= 0 && posix::sys_fstat(fd, &now) == 0) static_cast<void>(::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, now.st_size + more));
  };
  reserve(database_guard_.get(), kRoom);
  // Nobody has POSIX locks on the log: it may be closed.
  const posix::UniqueFd log{posix::sys_openat(directory_, (database_ + kLog).c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC)};
  reserve(log.get(), kRoom);
}

}  // namespace sherlock::sqlite
