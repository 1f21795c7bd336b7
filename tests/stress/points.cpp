// SPDX-License-Identifier: MIT
#include "points.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "posix/syscall.hpp"
#ifdef SHERLOCK_STRESS_SQLITE
#include <sqlite3.h>
#endif

namespace stress {
namespace {

using sherlock::posix::Syscalls;

Fault& hook() {
  static Fault fault;
  return fault;
}

// True: the call is not to be made, and errno is set.
bool fails(const char* call) {
  const int error = hook()(call);
  if (error != 0) errno = error;
  return error != 0;
}

template <auto Entry>
struct Ours;
template <class Result, class... Arguments, Result (*Syscalls::*Entry)(Arguments...)>
struct Ours<Entry> {
  static inline const char* name = nullptr;
  static Result call(Arguments... arguments) {
    if (fails(name)) return static_cast<Result>(-1);
    return (sherlock::posix::real_syscalls().*Entry)(arguments...);
  }
};

template <auto Entry>
void take(const char* name) {
  Ours<Entry>::name = name;
  sherlock::posix::syscalls().*Entry = Ours<Entry>::call;
}

// It returns its error. And a descriptor that cannot be closed is gone all the same.
int failing_fallocate(int fd, off_t offset, off_t length) {
  return fails("fallocate") ? errno : sherlock::posix::real_syscalls().fallocate(fd, offset, length);
}
std::vector<int> strangers;
int failing_close(int fd) {
  const int result = sherlock::posix::real_syscalls().close(fd);
  if (!fails("close")) return result;
  const int error = errno;
  strangers.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  errno = error;
  return -1;
}

#ifdef SHERLOCK_STRESS_SQLITE
template <int Which, class Result, class... Arguments>
struct Theirs {
  static inline Result (*real)(Arguments...) = nullptr;
  static inline const char* name = nullptr;
  static Result call(Arguments... arguments) { return fails(name) ? static_cast<Result>(-1) : real(arguments...); }
};

template <int Which, class Result, class... Arguments>
void take_sqlite(const char* name, Result (*)(Arguments...)) {
  sqlite3_vfs* const vfs = sqlite3_vfs_find("unix");
  using Call = Theirs<Which, Result, Arguments...>;
  const sqlite3_syscall_ptr real = vfs->xGetSystemCall(vfs, name);
  if (!real || real == reinterpret_cast<sqlite3_syscall_ptr>(&Call::call)) return;
  Call::real = reinterpret_cast<Result (*)(Arguments...)>(real);
  Call::name = name;
  vfs->xSetSystemCall(vfs, name, reinterpret_cast<sqlite3_syscall_ptr>(&Call::call));
}

int (*real_fcntl)(int, int, ...) = nullptr;
// Letting go of a lock does not fail, whatever the disk does.
int failing_fcntl(int fd, int command, void* argument) {
  const bool unlocks = command == F_SETLK && static_cast<struct flock*>(argument)->l_type == F_UNLCK;
  return !unlocks && fails("sqlite fcntl") ? -1 : real_fcntl(fd, command, argument);
}

void take_all_of_sqlite() {
  sqlite3_vfs* const vfs = sqlite3_vfs_find("unix");
  real_fcntl = reinterpret_cast<int (*)(int, int, ...)>(vfs->xGetSystemCall(vfs, "fcntl"));
  vfs->xSetSystemCall(vfs, "fcntl", reinterpret_cast<sqlite3_syscall_ptr>(&failing_fcntl));
  take_sqlite<0>("open", static_cast<int (*)(const char*, int, int)>(nullptr));
  take_sqlite<1>("ftruncate", static_cast<int (*)(int, off_t)>(nullptr));
  take_sqlite<2>("pwrite", static_cast<ssize_t (*)(int, const void*, size_t, off_t)>(nullptr));
  take_sqlite<3>("pwrite64", static_cast<ssize_t (*)(int, const void*, size_t, off_t)>(nullptr));
  take_sqlite<4>("pread", static_cast<ssize_t (*)(int, void*, size_t, off_t)>(nullptr));
  take_sqlite<5>("pread64", static_cast<ssize_t (*)(int, void*, size_t, off_t)>(nullptr));
  take_sqlite<6>("fstat", static_cast<int (*)(int, struct stat*)>(nullptr));
}
#else
void take_all_of_sqlite() {}
#endif

}  // namespace

void before_each_call(Fault fault) {
  hook() = std::move(fault);
  take<&Syscalls::openat>("openat");
  take<&Syscalls::flock>("flock");
  take<&Syscalls::fcntl_lock>("fcntl");
  take<&Syscalls::fstat>("fstat");
  take<&Syscalls::fstatat>("fstatat");
  take<&Syscalls::fstatfs>("fstatfs");
  take<&Syscalls::mkdir>("mkdir");
  take<&Syscalls::fchmod>("fchmod");
  take<&Syscalls::futimens>("futimens");
  take<&Syscalls::linkat>("linkat");
  take<&Syscalls::renameat2>("renameat2");
  take<&Syscalls::unlinkat>("unlinkat");
  take<&Syscalls::inotify_init1>("inotify_init1");
  take<&Syscalls::inotify_add_watch>("inotify_add_watch");
  take<&Syscalls::ppoll>("ppoll");
  take<&Syscalls::futex>("futex");
  take<&Syscalls::futex_waitv>("futex_waitv");
  sherlock::posix::syscalls().fallocate = failing_fallocate;
  sherlock::posix::syscalls().close = failing_close;
  take_all_of_sqlite();
}

bool strangers_are_left_alone() {
  bool all = true;
  for (const int fd : strangers) {
    char path[64] = {};
    all = all && readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path - 1) > 0 && std::string_view{path} == "/dev/null";
    close(fd);
  }
  strangers.clear();
  return all;
}

}  // namespace stress
