// SPDX-License-Identifier: MIT
// A directory shared between users, on purpose.
#include <grp.h>

#include <filesystem>
#include <string>
#include <vector>

#include "ground.hpp"
#include "support/says.hpp"

using namespace ground;
using support::says;
namespace fs = std::filesystem;

namespace {

constexpr uid_t kNobody = 65534, kSomebody = 65533;

// From now on this process is `user`, in root's group only.
bool become(uid_t user, gid_t group = 0) { return ::setgroups(0, nullptr) == 0 && ::setgid(group) == 0 && ::setuid(user) == 0; }

}  // namespace

TEST_CASE("the files of a shared store have the mode that was asked for, whatever the umask", "[file]") {
  for (const mode_t mask : {0, 022, 077}) {
    CAPTURE(mask);
    const Ground ground;
    const mode_t before = ::umask(mask);
    FileLock group{"x", {}, ground.store + "?mode=0660"}, everybody{"x", {}, ground.store + "-open?mode=0666"}, own{"x", {}, ground.store + "-own"};
    for (FileLock* lock : {&group, &everybody, &own}) lock->acquire();
    ::umask(before);
    const auto mode = [](const std::string& path) { return stat_of(path).st_mode & 07777; };
    CHECK(mode(ground.store) == 0770);
    CHECK(mode(ground.store + "/.sherlock") == 0660);
    CHECK(mode(group.path()) == 0660);
    CHECK(mode(ground.store + "-open") == 01777);
    CHECK(mode(ground.store + "-open/.sherlock") == 0666);
    CHECK(mode(everybody.path()) == 0666);
    CHECK(mode(ground.store + "-own") == 0700);
    CHECK(mode(ground.store + "-own/.sherlock") == 0600);
    CHECK(mode(own.path()) == 0600);
  }
}

TEST_CASE("users who share a store exclude each other, whoever came first", "[file][process]") {
  if (::geteuid() != 0) return skip("only root can become others");
  const Ground ground;
  REQUIRE(::chmod(ground.dir.path().c_str(), 0755) == 0);
  // For a group: a directory whose sharing the administrator prepared. For everybody: as /tmp is.
  const bool everybody = GENERATE(false, true);
  REQUIRE(::mkdir(ground.store.c_str(), 0700) == 0);
  REQUIRE(::chmod(ground.store.c_str(), everybody ? 01777 : 0770) == 0);
  const std::string client = ground.store + (everybody ? "?mode=0666" : "?mode=0660");
  const gid_t group = everybody ? kNobody : 0;

  Pipe ready, go;
  Child first{[&] {
    ::umask(077);
    if (!become(kNobody, group)) return 1;
    FileLock lock{"x", {}, client};
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
      FileLock lock{"x", {}, client};
      if (lock.try_acquire() != gets_it) return 2;
      const auto holder = lock.holder();
      if (!holder || holder->uid != (gets_it ? kSomebody : kNobody)) return 3;
      return 0;
    };
  };
  CHECK(Child{second(false)}.wait() == Exit{0, 0});
  FileLock roots{"x", {.timeout = forever}, client};
  CHECK_FALSE(roots.try_acquire());
  go.tell();
  CHECK(first.wait() == Exit{0, 0});
  CHECK(Child{second(true)}.wait() == Exit{0, 0});
  CHECK(roots.try_acquire());
}

TEST_CASE("a store that is not shared keeps other users out", "[file][process]") {
  if (::geteuid() != 0) return skip("only root can become others");
  const Ground ground;
  REQUIRE(::chmod(ground.dir.path().c_str(), 0755) == 0);
  auto lock = ground.lock();
  const std::string path = lock.path();
  lock.acquire();
  lock.release();
  Child other{[&] {
    if (!become(kNobody, kNobody)) return 1;
    if (::open(path.c_str(), O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES) return 2;
    return throws<BackendException>([&] { FileLock("x", {}, ground.store); }) ? 0 : 3;
  }};
  CHECK(other.wait() == Exit{0, 0});
}

TEST_CASE("a program that gives up its privileges keeps what it holds, and its lock objects", "[file][process]") {
  if (::geteuid() != 0) return skip("only root has privileges to give up");
  const Ground ground;
  REQUIRE(::chmod(ground.dir.path().c_str(), 0755) == 0);
  const std::string client = ground.store + "?mode=0666";
  Child daemon{[&] {
    FileLock held{"held", {}, client}, later{"later", {}, client};
    held.acquire();
    if (!become(kNobody, kNobody)) return 1;
    let_the_last_look_be_old();
    if (!held.renew()) return 2;
    held.release();
    later.acquire();
    later.release();
    FileLock fresh{"fresh", {}, client};
    fresh.acquire();
    fresh.release();
    return 0;
  }};
  CHECK(daemon.wait() == Exit{0, 0});
}
