// SPDX-License-Identifier: MIT
// A system call of SQLite's fails, once, wherever that may be. The verb succeeds all the same, or throws a BackendException; nothing is stuck or torn afterwards.
#include <fcntl.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "ground.hpp"
#include "posix/syscall.hpp"

using namespace ground;

namespace {

long calls = 0, fail_at = 0;  // 0: none
int fail_with = 0;

bool fails() {
  if (fail_at == 0 || ++calls != fail_at) return false;
  errno = fail_with;
  return true;
}

template <int Which, class Result, class... Arguments>
struct Faulty {
  static inline Result (*real)(Arguments...) = nullptr;
  static Result call(Arguments... arguments) { return fails() ? static_cast<Result>(-1) : real(arguments...); }
};

template <int Which, class Result, class... Arguments>
void spoil(const char* name, Result (*)(Arguments...)) {
  sqlite3_vfs* const vfs = sqlite3_vfs_find("unix");
  const sqlite3_syscall_ptr real = vfs->xGetSystemCall(vfs, name);
  if (!real) return;
  using Call = Faulty<Which, Result, Arguments...>;
  Call::real = reinterpret_cast<Result (*)(Arguments...)>(real);
  vfs->xSetSystemCall(vfs, name, reinterpret_cast<sqlite3_syscall_ptr>(&Call::call));
}

int (*real_fcntl)(int, int, ...) = nullptr;
// Letting go of a lock does not fail, whatever the disk does.
int faulty_fcntl(int fd, int command, void* argument) {
  const bool unlocks = command == F_SETLK && static_cast<struct flock*>(argument)->l_type == F_UNLCK;
  return !unlocks && fails() ? -1 : real_fcntl(fd, command, argument);
}

// Those of them that our connection takes in its own way.
int faulty_log_lock(int fd, int command, struct flock* range) {
  char name[256];
  const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, sizeof name);
  const bool of_the_log = length > 4 && std::string{name, static_cast<std::size_t>(length)}.ends_with("-shm");
  return of_the_log && range->l_type != F_UNLCK && fails() ? -1 : posix::real_syscalls().fcntl_lock(fd, command, range);
}

// Reads may fail too: a page that cannot be read is no page of zeroes.
void spoil_all(bool locks_only) {
  sqlite3_vfs* const vfs = sqlite3_vfs_find("unix");
  real_fcntl = reinterpret_cast<int (*)(int, int, ...)>(vfs->xGetSystemCall(vfs, "fcntl"));
  vfs->xSetSystemCall(vfs, "fcntl", reinterpret_cast<sqlite3_syscall_ptr>(&faulty_fcntl));
  posix::syscalls().fcntl_lock = faulty_log_lock;
  if (locks_only) return;
  spoil<0>("open", static_cast<int (*)(const char*, int, int)>(nullptr));
  spoil<1>("ftruncate", static_cast<int (*)(int, off_t)>(nullptr));
  spoil<2>("pwrite", static_cast<ssize_t (*)(int, const void*, size_t, off_t)>(nullptr));
  spoil<3>("pwrite64", static_cast<ssize_t (*)(int, const void*, size_t, off_t)>(nullptr));
  spoil<4>("pread", static_cast<ssize_t (*)(int, void*, size_t, off_t)>(nullptr));
  spoil<5>("pread64", static_cast<ssize_t (*)(int, void*, size_t, off_t)>(nullptr));
  spoil<6>("fstat", static_cast<int (*)(int, struct stat*)>(nullptr));
}

struct Fault {
  const char* what;
  int error;
  bool locks_only;
};

constexpr int kFellThrough = 2, kStuck = 3, kTwice = 4, kNotAnException = 5;

// In a child: 0, or what went wrong; 1 when no call was left to fail.
int go_through_it(const Ground& ground, const Fault& fault, long at) {
  int outcome = 0;
  {
    auto lock = ground.lock("x", {.timeout = 5s}), lease = ground.lock("y", {.expire = 60s, .timeout = 5s});
    spoil_all(fault.locks_only);
    fail_with = fault.error;
    fail_at = at;
    const auto attempt = [&](const std::function<void()>& verb) {
      try {
        verb();
      } catch (const BackendException&) {
      } catch (const LockNotHeldException&) {  // its acquire had failed
      } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        outcome = kNotAnException;
      }
    };
    attempt([&] {
      if (!lock.try_acquire()) outcome = kFellThrough;  // free, and nobody else is there
    });
    attempt([&] { lease.acquire(); });
    attempt([&] {
      if (lease.held() && !lease.renew()) outcome = kFellThrough;
    });
    attempt([&] { (void)lock.locked(); });
    attempt([&] {
      if (ground.lock().try_acquire() && lock.held()) outcome = kTwice;
    });
    attempt([&] { lease.release(); });
    attempt([&] { lock.release(); });
    const bool reached = calls >= fail_at;
    fail_at = 0;
    // What failed can be tried again.
    if (lock.held()) lock.release();
    if (lease.held()) lease.release();
    auto again = ground.lock("x", {.timeout = 5s}), y = ground.lock("y", {.timeout = 5s});
    if (!again.try_acquire_for(5s) || !y.try_acquire_for(5s)) return kStuck;
    if (outcome == 0 && !reached) outcome = 1;
  }
  return outcome;
}

}  // namespace

TEST_CASE("whatever system call of SQLite fails once, a verb succeeds or throws, and nothing is stuck", "[sqlite][fault][process]") {
  constexpr Fault kFaults[] = {
      {"a disk that does not answer", EIO, false},
      {"a full disk", ENOSPC, false},
      {"a lock that somebody else has", EAGAIN, true},
      {"no more locks", ENOLCK, true},
      {"out of memory in the kernel", ENOMEM, false},
  };
  for (const Fault& fault : kFaults) {
    CAPTURE(fault.what);
    long at = 0;
    for (bool left = true; left;) {
      CAPTURE(++at);
      const Ground ground;
      { ground.lock().acquire(); }
      Child child{[&] { return go_through_it(ground, fault, at); }};
      const Exit end = child.wait();
      REQUIRE((end == Exit{0, 0} || end == Exit{1, 0}));
      left = end.code == 0;
      REQUIRE(ground.integrity() == "ok");
    }
    CHECK(at > 10);
  }
}
