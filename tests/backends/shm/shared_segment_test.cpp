// SPDX-License-Identifier: MIT
// A segment shared between users, on purpose.
#include <grp.h>

#include <string>

#include "ground.hpp"

using namespace ground;

namespace {

constexpr uid_t kNobody = 65534, kSomebody = 65533;

// From now on this process is `user`, in `group` only.
bool become(uid_t user, gid_t group = 0) { return ::setgroups(0, nullptr) == 0 && ::setgid(group) == 0 && ::setuid(user) == 0; }

}  // namespace

TEST_CASE("a shared segment has the mode that was asked for, whatever the umask; any other is its owner's alone", "[shm]") {
  for (const mode_t mask : {0, 022, 077}) {
    CAPTURE(mask);
    const Ground group, everybody, own;
    const mode_t before = ::umask(mask);
    ShmLock a{"x", {}, group.segment + "?mode=0660"}, b{"x", {}, everybody.segment + "?mode=0666"}, c = own.lock();
    ::umask(before);
    CHECK((stat_of(group.path).st_mode & 07777) == 0660);
    CHECK((stat_of(everybody.path).st_mode & 07777) == 0666);
    CHECK((stat_of(own.path).st_mode & 07777) == 0600);
  }
}

TEST_CASE("users who share a segment exclude each other, whoever came first", "[shm][process]") {
  if (::geteuid() != 0) return skip("only root can become others");
  const Ground ground;
  const bool everybody = GENERATE(false, true);
  const std::string client = ground.segment + (everybody ? "?mode=0666" : "?mode=0660");
  const gid_t group = everybody ? kNobody : 0;

  Pipe ready, go;
  Child first{[&] {
    ::umask(077);
    if (!become(kNobody, group)) return 1;
    ShmLock lock{"x", {}, client};
    lock.acquire();
    ready.tell();
    if (!go.hear()) return 2;
    lock.release();
    return 0;
  }};
  REQUIRE(ready.hear());
  const auto second = [&](bool gets_it) {
    return [&, gets_it] {
      if (!become(kSomebody, group)) return 1;
      ShmLock lock{"x", {}, client};
      if (lock.try_acquire() != gets_it) return 2;
      const auto holder = lock.holder();
      return holder && holder->uid == (gets_it ? kSomebody : kNobody) ? 0 : 3;
    };
  };
  CHECK(Child{second(false)}.wait() == Exit{0, 0});
  ShmLock roots{"x", {.timeout = forever}, client};
  CHECK_FALSE(roots.try_acquire());
  go.tell();
  CHECK(first.wait() == Exit{0, 0});
  CHECK(Child{second(true)}.wait() == Exit{0, 0});
  CHECK(roots.try_acquire());
}

TEST_CASE("a death is seen, and waiters are woken, across users", "[shm][process]") {
  if (::geteuid() != 0) return skip("only root can become others");
  const Ground ground;
  const std::string client = ground.segment + "?mode=0666";
  Pipe ready;
  Child holder{[&] {
    if (!become(kNobody, kNobody)) return 1;
    ShmLock lock{"x", {}, client};
    lock.acquire();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  Child waiter{[&] {
    if (!become(kSomebody, kSomebody)) return 1;
    ShmLock lock{"x", {.timeout = kPatience, .retry_interval = 1h}, client};
    lock.acquire();
    return lock.abandoned() ? 0 : 2;
  }};
  const ShmLock look{"x", {}, client};
  REQUIRE(eventually([&] { return look.holder()->waiting == std::uint64_t{1}; }));
  holder.kill();
  CHECK(waiter.wait() == Exit{0, 0});
}

TEST_CASE("a segment that is not shared keeps other users out", "[shm][process]") {
  if (::geteuid() != 0) return skip("only root can become others");
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  Child other{[&] {
    if (!become(kNobody, kNobody)) return 1;
    if (::open(ground.path.c_str(), O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES) return 2;
    if (!throws<BackendException>([&] { ground.lock(); })) return 3;
    return throws<BackendException>([&] { ShmLock("x", {}, ground.segment + "?mode=0666"); }) ? 0 : 4;
  }};
  CHECK(other.wait() == Exit{0, 0});
}

TEST_CASE("a program that gives up its privileges keeps what it holds, and its lock objects", "[shm][process]") {
  if (::geteuid() != 0) return skip("only root has privileges to give up");
  const Ground ground;
  const std::string client = ground.segment + "?mode=0666";
  Child daemon{[&] {
    ShmLock held{"held", {}, client}, later{"later", {}, client};
    held.acquire();
    if (!become(kNobody, kNobody)) return 1;
    let_the_last_look_be_old();
    if (!held.renew()) return 2;
    held.release();
    later.acquire();
    later.release();
    ShmLock fresh{"fresh", {}, client};
    fresh.acquire();
    fresh.release();
    return 0;
  }};
  CHECK(daemon.wait() == Exit{0, 0});
}
