// SPDX-License-Identifier: MIT
// The seam between the library and the kernel. Every system call of the local stores goes through here: EINTR is retried in this one
// place, and a test can replace any call by one that fails. Results and errno are the kernel's.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>

#include <cstddef>
#include <string>

namespace sherlock::posix {

struct Syscalls {
  int (*openat)(int dir, const char* path, int flags, mode_t mode);
  int (*close)(int fd);
  int (*flock)(int fd, int operation);
  int (*fcntl_lock)(int fd, int command, struct flock* range);
  int (*fstat)(int fd, struct stat* result);
  int (*fstatat)(int dir, const char* path, struct stat* result, int flags);
  int (*fstatfs)(int fd, struct statfs* result);
  int (*mkdir)(const char* path, mode_t mode);
  int (*fchmod)(int fd, mode_t mode);
  int (*futimens)(int fd, const struct timespec times[2]);
  int (*fallocate)(int fd, off_t offset, off_t length);  // posix_fallocate: returns the error
  int (*linkat)(int old_dir, const char* old_path, int new_dir, const char* new_path, int flags);
  int (*renameat2)(int old_dir, const char* old_path, int new_dir, const char* new_path, unsigned flags);
  int (*unlinkat)(int dir, const char* path, int flags);
  int (*inotify_init1)(int flags);
  int (*inotify_add_watch)(int fd, const char* path, unsigned mask);
  ssize_t (*read)(int fd, void* buffer, std::size_t size);
  int (*ppoll)(struct pollfd* fds, nfds_t count, const struct timespec* timeout);
  long (*futex)(const void* word, int operation, unsigned value, const struct timespec* timeout, unsigned bits);
  long (*futex_waitv)(void* waiters, unsigned count, const struct timespec* deadline);
};

// The table in use. Tests replace entries while no other thread uses a lock.
Syscalls& syscalls();
// The kernel's own.
const Syscalls& real_syscalls();

int sys_openat(int dir, const char* path, int flags, mode_t mode = 0);
void sys_close(int fd);  // never retried: after EINTR the descriptor is gone on Linux (close(2)), and its number may be a stranger's
int sys_flock(int fd, int operation);
int sys_fcntl_lock(int fd, int command, struct flock* range);
// What that asks with: `length` bytes from `start` of the file; length 0: all from there on.
inline struct flock byte_range(short type, off_t start, off_t length) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = start;
  range.l_len = length;
  return range;
}
int sys_fstat(int fd, struct stat* result);
int sys_fstatat(int dir, const char* path, struct stat* result, int flags);
int sys_fstatfs(int fd, struct statfs* result);
int sys_fallocate(int fd, off_t offset, off_t length);  // 0, or -1 with errno

// Throws std::system_error with errno and "what: path".
[[noreturn]] void throw_errno(const std::string& what);

}  // namespace sherlock::posix
