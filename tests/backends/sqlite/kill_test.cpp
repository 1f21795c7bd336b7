// SPDX-License-Identifier: MIT
// A process is killed before and after each system call that it makes, SQLite's own among them. Afterwards the database is whole, and the lock is free.
#include <signal.h>
#include <sys/mman.h>

#include <functional>
#include <list>
#include <string>
#include <vector>

#include "ground.hpp"
#include "posix/syscall.hpp"

using namespace ground;
using posix::Syscalls;

namespace {

long passed = 0, kill_at = 0;  // 0: not armed

void point() {
  if (kill_at != 0 && ++passed == kill_at) ::kill(::getpid(), SIGKILL);
}

// A function of SQLite's table of system calls, or of ours, with a point before and after it.
template <int Which, class Result, class... Arguments>
struct Pointed {
  static inline Result (*real)(Arguments...) = nullptr;
  static Result call(Arguments... arguments) {
    point();
    const Result result = real(arguments...);
    const int error = errno;
    point();
    errno = error;
    return result;
  }
};

template <int Which, class Result, class... Arguments>
void point_sqlite(const char* name, Result (*)(Arguments...)) {
  sqlite3_vfs* const vfs = sqlite3_vfs_find("unix");
  using Call = Pointed<Which, Result, Arguments...>;
  const sqlite3_syscall_ptr real = vfs->xGetSystemCall(vfs, name);
  if (!real) return;
  Call::real = reinterpret_cast<Result (*)(Arguments...)>(real);
  vfs->xSetSystemCall(vfs, name, reinterpret_cast<sqlite3_syscall_ptr>(&Call::call));
}

// The two that take what they like behind their second argument.
int (*fcntl_before)(int, int, ...) = nullptr;
int pointed_fcntl(int fd, int command, void* argument) {
  point();
  const int result = fcntl_before(fd, command, argument);
  const int error = errno;
  point();
  errno = error;
  return result;
}

template <auto Entry>
struct OfOurs;
template <class Result, class... Arguments, Result (*Syscalls::*Entry)(Arguments...)>
struct OfOurs<Entry> {
  static Result call(Arguments... arguments) {
    point();
    const Result result = (posix::real_syscalls().*Entry)(arguments...);
    const int error = errno;
    point();
    errno = error;
    return result;
  }
};
template <auto... Entries>
void point_ours() {
  ((posix::syscalls().*Entries = OfOurs<Entries>::call), ...);
}

void arm(long at) {
  point_sqlite<0>("open", static_cast<int (*)(const char*, int, int)>(nullptr));
  point_sqlite<1>("close", static_cast<int (*)(int)>(nullptr));
  point_sqlite<2>("ftruncate", static_cast<int (*)(int, off_t)>(nullptr));
  point_sqlite<3>("pwrite", static_cast<ssize_t (*)(int, const void*, size_t, off_t)>(nullptr));
  point_sqlite<4>("pwrite64", static_cast<ssize_t (*)(int, const void*, size_t, off_t)>(nullptr));
  point_sqlite<5>("write", static_cast<ssize_t (*)(int, const void*, size_t)>(nullptr));
  point_sqlite<6>("unlink", static_cast<int (*)(const char*)>(nullptr));
  point_sqlite<7>("mmap", static_cast<void* (*)(void*, size_t, int, int, int, off_t)>(nullptr));
  point_sqlite<8>("fchmod", static_cast<int (*)(int, mode_t)>(nullptr));
  sqlite3_vfs* const vfs = sqlite3_vfs_find("unix");
  fcntl_before = reinterpret_cast<int (*)(int, int, ...)>(vfs->xGetSystemCall(vfs, "fcntl"));
  vfs->xSetSystemCall(vfs, "fcntl", reinterpret_cast<sqlite3_syscall_ptr>(&pointed_fcntl));
  point_ours<&Syscalls::openat, &Syscalls::close, &Syscalls::flock, &Syscalls::fcntl_lock, &Syscalls::fallocate, &Syscalls::linkat, &Syscalls::unlinkat,
             &Syscalls::renameat2, &Syscalls::futex, &Syscalls::futex_waitv>();
  passed = 0;
  kill_at = at;
}

// What the victim does: before it is armed, and then.
struct Scene {
  const char* what;
  std::function<void(const Ground&)> before;
  std::function<void(const Ground&, const std::function<void()>& armed)> act;
};

// A sanitizer sees no more when processes die in more places, but it makes each of them slow to begin.
constexpr long kEvery = playground::kSanitized ? 7 : 1;

void make(const Ground& ground) { ground.lock().acquire(); }

const std::vector<Scene> kScenes{
    {"makes the database", [](const Ground&) {},
     [](const Ground& g, const std::function<void()>& armed) {
       armed();
       auto lock = g.lock();
       lock.acquire();
       lock.release();
     }},
    {"takes and lets go", make,
     [](const Ground& g, const std::function<void()>& armed) {
       auto lock = g.lock();
       armed();
       lock.acquire();
       lock.release();
     }},
    {"takes a name for the first time, and a lease, which it renews", make,
     [](const Ground& g, const std::function<void()>& armed) {
       auto lock = g.lock("new", {.expire = 60s}), x = g.lock();
       armed();
       lock.acquire();
       x.acquire();
       (void)lock.renew();
       lock.release();
       x.release();
     }},
    {"reaches the checkpoint", make,
     [](const Ground& g, const std::function<void()>& armed) {
       auto lock = g.lock();
       Outsider{g.db}.run("PRAGMA wal_checkpoint(RESTART)");
       for (int i = 0; i < 49; ++i) {
         lock.acquire();
         lock.release();
       }
       armed();
       lock.acquire();
       lock.release();
       lock.acquire();
       lock.release();
     }},
    {"takes from the dead", [](const Ground& g) {
       Child dead{[&] {
         g.lock().acquire();
         auto lock = g.lock("y");
         lock.acquire();
         return ::raise(SIGKILL);
       }};
       dead.wait();
     },
     [](const Ground& g, const std::function<void()>& armed) {
       auto lock = g.lock(), y = g.lock("y");
       armed();
       lock.acquire();
       y.acquire();
       y.release();
       lock.release();
     }},
};

}  // namespace

TEST_CASE("killed at whatever system call, a process leaves a whole database and a free lock", "[sqlite][kill][process]") {
  for (const Scene& scene : kScenes) {
    CAPTURE(scene.what);
    bool killed = true;
    long at = 0;
    while (killed) {
      CAPTURE(at += kEvery);
      const Ground ground;
      Child before{[&] {
        scene.before(ground);
        return 0;
      }};
      REQUIRE(before.wait() == Exit{0, 0});
      Child victim{[&] {
        scene.act(ground, [&] { arm(at); });
        return 0;
      }};
      const Exit end = victim.wait();
      killed = end == Exit{-1, SIGKILL};
      REQUIRE((killed || end == Exit{0, 0}));
      Child survivor{[&] {
        auto lock = ground.lock(), y = ground.lock("y");
        return lock.try_acquire_for(10s) && y.try_acquire_for(10s) && SqliteLock::list(ground.db).size() <= 3 ? 0 : 1;
      }};
      REQUIRE(survivor.wait() == Exit{0, 0});
      REQUIRE(ground.integrity() == "ok");
    }
    CHECK(at > 10);
  }
}

TEST_CASE("a thousand killed holders leave nothing stuck", "[sqlite][kill][process]") {
  const Ground ground;
  { auto lock = ground.lock(); }
  constexpr int kAtATime = 20;
  for (int round = 0; round < 1000 / kAtATime / kEvery; ++round) {
    std::vector<Child> holders;
    const Pipe ready;
    for (int i = 0; i < kAtATime; ++i)
      holders.emplace_back([&, i] {
        auto lock = ground.lock("name " + std::to_string(i), {.timeout = 15s});
        lock.acquire();
        ready.tell();
        Child::sleep();
        return 0;
      });
    for (int i = 0; i < kAtATime; ++i) REQUIRE(ready.hear());
    for (Child& holder : holders) holder.kill();
  }
  for (int i = 0; i < kAtATime; ++i) {
    auto lock = ground.lock("name " + std::to_string(i));
    CHECK(lock.try_acquire_for(10s));
    CHECK(lock.abandoned());
  }
  CHECK(ground.integrity() == "ok");
}

TEST_CASE("a child that is killed in the middle of a statement harms nobody who waits", "[sqlite][kill][process]") {
  const Ground ground;
  const Shared<std::atomic<std::uint64_t>> grants;
  const auto work = [&] {
    auto lock = ground.lock("x", {.timeout = 15s});
    for (;;) {
      lock.acquire();
      grants->fetch_add(1);
      lock.release();
    }
    return 0;
  };
  std::list<Child> workers;
  for (int i = 0; i < 6; ++i) workers.emplace_back(work);
  for (int kills = 0; kills < 300; ++kills) {
    std::this_thread::sleep_for(std::chrono::microseconds{500 + kills * 37 % 3000});
    workers.pop_front();  // killed and reaped
    workers.emplace_back(work);
  }
  const std::uint64_t before = *grants;
  CHECK(eventually([&] { return *grants > before + 100; }));
  workers.clear();
  CHECK(is_free(ground));
  CHECK(ground.integrity() == "ok");
}
