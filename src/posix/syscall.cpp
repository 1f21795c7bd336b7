// SPDX-License-Identifier: MIT
#include "posix/syscall.hpp"

#include <linux/futex.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <system_error>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

namespace sherlock::posix {
namespace {

constexpr Syscalls kReal{
    .openat = [](int dir, const char* path, int flags, mode_t mode) { return ::openat(dir, path, flags, mode); },
    .close = ::close,
    .flock = ::flock,
    .fcntl_lock = [](int fd, int command, struct flock* range) { return ::fcntl(fd, command, range); },
    .fstat = [](int fd, struct stat* result) { return ::fstat(fd, result); },
    .fstatat = [](int dir, const char* path, struct stat* result, int flags) { return ::fstatat(dir, path, result, flags); },
    .fstatfs = ::fstatfs,
    .mkdir = ::mkdir,
    .fchmod = ::fchmod,
    .futimens = ::futimens,
    .fallocate = ::posix_fallocate,
    .linkat = ::linkat,
    .renameat2 = [](int old_dir, const char* old_path, int new_dir, const char* new_path, unsigned flags) {
      return static_cast<int>(::syscall(SYS_renameat2, old_dir, old_path, new_dir, new_path, flags));
    },
    .unlinkat = ::unlinkat,
    .inotify_init1 = ::inotify_init1,
    .inotify_add_watch = ::inotify_add_watch,
    .read = ::read,
    .ppoll = [](struct pollfd* fds, nfds_t count, const struct timespec* timeout) { return ::ppoll(fds, count, timeout, nullptr); },
    .futex = [](const void* word, int operation, unsigned value, const struct timespec* timeout, unsigned bits) {
      return ::syscall(SYS_futex, word, operation, value, timeout, nullptr, bits);
    },
    .futex_waitv = [](void* waiters, unsigned count, const struct timespec* deadline) {
      return ::syscall(SYS_futex_waitv, waiters, count, 0, deadline, CLOCK_MONOTONIC);
    },
};

Syscalls table = kReal;

template <class Call>
auto retry(Call call) {
  for (;;) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace

Syscalls& syscalls() { return table; }
const Syscalls& real_syscalls() { return kReal; }

int sys_openat(int dir, const char* path, int flags, mode_t mode) {
  return retry([&] { return table.openat(dir, path, flags, mode); });
}

void sys_close(int fd) {
  const int before = errno;
  table.close(fd);
  errno = before;
}

int sys_flock(int fd, int operation) {
  return retry([&] { return table.flock(fd, operation); });
}

int sys_fcntl_lock(int fd, int command, struct flock* range) {
  return retry([&] { return table.fcntl_lock(fd, command, range); });
}

int sys_fstat(int fd, struct stat* result) {
  return retry([&] { return table.fstat(fd, result); });
}

int sys_fstatat(int dir, const char* path, struct stat* result, int flags) {
  return retry([&] { return table.fstatat(dir, path, result, flags); });
}

int sys_fstatfs(int fd, struct statfs* result) {
  return retry([&] { return table.fstatfs(fd, result); });
}

int sys_fallocate(int fd, off_t offset, off_t length) {
  for (;;) {
    const int error = table.fallocate(fd, offset, length);
    if (error == EINTR) continue;
    errno = error;
    return error == 0 ? 0 : -1;
  }
}

void throw_errno(const std::string& what) { throw std::system_error{errno, std::generic_category(), what}; }

}  // namespace sherlock::posix
