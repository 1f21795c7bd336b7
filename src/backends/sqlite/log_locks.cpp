// SPDX-License-Identifier: MIT
#include "backends/sqlite/log_locks.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "posix/descriptors.hpp"
#include "posix/file.hpp"
#include "posix/syscall.hpp"

namespace sherlock::sqlite {
namespace {

// Where SQLite's os_unix.c has them.
constexpr off_t kLocks = 120;
constexpr off_t kUsed = kLocks + SQLITE_SHM_NLOCK;  // shared by all who have the index open: who finds nobody there clears it

sqlite3_vfs* unix_vfs = nullptr;

// Behind what SQLite has of the file.
struct Ours {
  const char* database;  // as SQLite keeps it until the file is closed
  const sqlite3_io_methods* unix_methods;
  sqlite3_io_methods methods;
  posix::LockFd index;
};

constexpr int kVersion = 3;  // of SQLite's tables as we know them: what a later one has more is not copied

constexpr int room_of(const sqlite3_vfs& vfs) {
  constexpr int kAlign = alignof(Ours);
  return (vfs.szOsFile + kAlign - 1) / kAlign * kAlign;
}

Ours& ours(sqlite3_file* file) { return *reinterpret_cast<Ours*>(reinterpret_cast<char*>(file) + room_of(*unix_vfs)); }

int lock(const posix::LockFd& index, short type, off_t start, off_t length) {
  struct flock wanted = posix::byte_range(type, start, length);
  if (posix::sys_fcntl_lock(index.get(), F_OFD_SETLK, &wanted) == 0) return SQLITE_OK;
  return errno == EAGAIN || errno == EACCES ? SQLITE_BUSY : SQLITE_IOERR_SHMLOCK;
}

// What a dead process has left in the index is cleared by whoever finds nobody with it. As SQLite does it, but that it finds its own process too: there, a
// second copy of SQLite may be reading.
int share_index(const posix::LockFd& index) {
  const int alone = lock(index, F_WRLCK, kUsed, 1);
  if (alone == SQLITE_BUSY) {
    struct flock other = posix::byte_range(F_WRLCK, kUsed, 1);
    if (posix::sys_fcntl_lock(index.get(), F_OFD_GETLK, &other) != 0) return SQLITE_IOERR_SHMLOCK;
    if (other.l_type != F_RDLCK) return SQLITE_BUSY;  // who is about to clear it may die before
  } else if (alone != SQLITE_OK) {
    return alone;
  } else if (::ftruncate(index.get(), 3) != 0) {  // not 0: at its close ext4 would write the file to the disk
    return SQLITE_IOERR_SHMOPEN;
  }
  return lock(index, F_RDLCK, kUsed, 1);
}

// Before SQLite opens it, and made as SQLite makes it.
int open_index(Ours& file, const std::string& path) {
  struct stat database;
  if (posix::sys_fstatat(AT_FDCWD, file.database, &database, 0) != 0) return SQLITE_IOERR_FSTAT;
  const mode_t mode = database.st_mode & 0777;
  posix::LockFd index = posix::LockFd::open_kept(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT | O_NONBLOCK, mode);
  if (!index) return SQLITE_CANTOPEN;
  if (index.opened().st_size == 0) {
    if ((index.opened().st_mode & 0777) != mode) posix::syscalls().fchmod(index.get(), mode);
    if (::geteuid() == 0) static_cast<void>(!::fchown(index.get(), database.st_uid, database.st_gid));
  }
  const int code = share_index(index);
  if (code == SQLITE_OK) file.index = std::move(index);
  return code;
}

int shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** at) {
  Ours& mine = ours(file);
  if (mine.index) return mine.unix_methods->xShmMap(file, region, size, extend, at);
  *at = nullptr;
  try {
    const std::string path = std::string{mine.database} + "-shm";
    int code = open_index(mine, path);
    if (code == SQLITE_OK) code = mine.unix_methods->xShmMap(file, region, size, extend, at);
    struct stat now;
    if (code != SQLITE_OK || (posix::sys_fstatat(AT_FDCWD, path.c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && posix::same_file(now, mine.index.opened())))
      return code;
    *at = nullptr;  // removed meanwhile: SQLite has another one open
    return SQLITE_IOERR_FSTAT;
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  } catch (const std::exception&) {
    return SQLITE_CANTOPEN;
  }
}

int shm_lock(sqlite3_file* file, int first, int count, int flags) {
  const short type = flags & SQLITE_SHM_UNLOCK ? F_UNLCK : flags & SQLITE_SHM_SHARED ? F_RDLCK : F_WRLCK;
  return lock(ours(file).index, type, kLocks + first, count);
}

int shm_unmap(sqlite3_file* file, int remove) {
  const int code = ours(file).unix_methods->xShmUnmap(file, remove);
  ours(file).index.reset();
  return code;
}

int close(sqlite3_file* file) {
  file->pMethods = ours(file).unix_methods;
  ours(file).~Ours();
  return file->pMethods->xClose(file);
}

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  const int code = unix_vfs->xOpen(unix_vfs, name, file, flags, flags_out);
  if (code != SQLITE_OK || !(flags & SQLITE_OPEN_MAIN_DB) || file->pMethods->iVersion < 2) return code;
  Ours* const mine = new (&ours(file)) Ours{name, file->pMethods, *file->pMethods, {}};
  mine->methods.iVersion = std::min(mine->methods.iVersion, kVersion);
  mine->methods.xClose = close;
  mine->methods.xShmMap = shm_map;
  mine->methods.xShmLock = shm_lock;
  mine->methods.xShmUnmap = shm_unmap;
  file->pMethods = &mine->methods;
  return SQLITE_OK;
}

// Never destroyed: SQLite has it in its list. Its name is one's own: another copy of this library may be at the same SQLite.
struct OwnVfs {
  const std::string name = "sherlock-" + std::to_string(reinterpret_cast<std::uintptr_t>(&unix_vfs));
  sqlite3_vfs vfs;

  explicit OwnVfs(sqlite3_vfs& standard) : vfs{standard} {
    unix_vfs = &standard;
    vfs.iVersion = std::min(vfs.iVersion, kVersion);
    vfs.szOsFile = room_of(standard) + static_cast<int>(sizeof(Ours));
    vfs.zName = name.c_str();
    vfs.pNext = nullptr;
    vfs.xOpen = open;
  }
};

OwnVfs* own_vfs = nullptr;

}  // namespace

const char* vfs_with_log_locks() {
  sqlite3_vfs* const standard = sqlite3_vfs_find(nullptr);
  if (standard == nullptr || standard->zName != std::string_view{"unix"}) return nullptr;
  if (own_vfs == nullptr) own_vfs = new OwnVfs{*standard};
  return sqlite3_vfs_register(&own_vfs->vfs, 0) == SQLITE_OK ? own_vfs->name.c_str() : nullptr;  // again does no harm
}

}  // namespace sherlock::sqlite
