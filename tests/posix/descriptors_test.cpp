// SPDX-License-Identifier: MIT
#include "posix/descriptors.hpp"

#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "posix/unique_fd.hpp"
#include "support/counters.hpp"
#include "support/fault_script.hpp"
#include "support/subprocess.hpp"
#include "support/temp_dir.hpp"

using namespace sherlock::posix;
using support::Child;
using support::Exit;
using support::FaultScript;
using support::TempDir;

namespace {

LockFd open_lock(const std::string& path) { return LockFd::open(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT, 0600); }

}  // namespace

TEST_CASE("a lock's descriptor is closed with its owner, and not inherited through exec", "[posix]") {
  const TempDir dir;
  const auto before = support::open_descriptors();
  {
    const LockFd fd = open_lock(dir / "a");
    REQUIRE(fd);
    CHECK((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(fd.opened().st_ino != 0);
    CHECK(fd.intact());
  }
  CHECK(support::open_descriptors() == before);
}

TEST_CASE("a lock's descriptor that cannot be opened is empty, with errno, and leaks nothing", "[posix]") {
  const TempDir dir;
  const auto before = support::open_descriptors();
  FaultScript faults;
  SECTION("openat fails") {
    faults.fail<&Syscalls::openat>(EMFILE);
    const LockFd fd = open_lock(dir / "a");
    const int error = errno;
    CHECK_FALSE(fd);
    CHECK(error == EMFILE);
  }
  SECTION("fstat fails") {
    faults.fail<&Syscalls::fstat>(EIO);
    const LockFd fd = open_lock(dir / "a");
    const int error = errno;
    CHECK_FALSE(fd);
    CHECK(error == EIO);
  }
  CHECK(support::open_descriptors() == before);
}

TEST_CASE("a kept descriptor leaves the process its POSIX locks at its end, and nobody what was locked through it", "[posix][process]") {
  const TempDir dir;
  const std::string path = dir / "a";
  const UniqueFd theirs{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  const auto byte = [](short type, off_t start) {
    struct flock range {};
    range.l_type = type;
    range.l_start = start;
    range.l_len = 1;
    return range;
  };
  struct flock posix_lock = byte(F_WRLCK, 0), ours = byte(F_WRLCK, 1);
  REQUIRE(::fcntl(theirs.get(), F_SETLK, &posix_lock) == 0);
  const auto open = [&] { return LockFd::open_kept(AT_FDCWD, path.c_str(), O_RDWR); };
  LockFd fd = open();
  const int number = fd.get();
  REQUIRE(::fcntl(number, F_OFD_SETLK, &ours) == 0);
  CHECK(open().get() != number);  // both are in use
  fd.reset();
  Child other{[&] {
    const UniqueFd looks{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    struct flock first = byte(F_WRLCK, 0), second = byte(F_WRLCK, 1);
    ::fcntl(looks.get(), F_GETLK, &first);
    ::fcntl(looks.get(), F_GETLK, &second);
    return first.l_type == F_WRLCK && second.l_type == F_UNLCK ? 0 : 1;
  }};
  CHECK(other.wait() == Exit{0, 0});
  const auto before = support::open_descriptors();
  for (int i = 0; i < 3; ++i) CHECK(open().get() == number);
  CHECK(support::open_descriptors() == before);
}

TEST_CASE("a kept descriptor is closed when its file has no name any more", "[posix]") {
  const TempDir dir;
  const auto open = [&](const char* name) { return LockFd::open_kept(AT_FDCWD, (dir / name).c_str(), O_RDWR | O_CREAT, 0600); };
  LockFd fd = open("a");
  REQUIRE(fd);
  const auto before = support::open_descriptors() - 1;
  REQUIRE(::unlink((dir / "a").c_str()) == 0);
  SECTION("at its end") {
    fd.reset();
    CHECK(support::open_descriptors() == before);
  }
  SECTION("or when the next is opened") {
    fd = open("b");
    REQUIRE(fd);
    fd.reset();
    REQUIRE(::unlink((dir / "b").c_str()) == 0);
    LockFd next = open("a");
    REQUIRE(::unlink((dir / "a").c_str()) == 0);
    next.reset();
    CHECK(support::open_descriptors() == before);
  }
}

TEST_CASE("a moved lock descriptor has one owner", "[posix]") {
  const TempDir dir;
  const auto before = support::open_descriptors();
  {
    LockFd first = open_lock(dir / "a");
    const int number = first.get();
    LockFd second{std::move(first)};
    CHECK_FALSE(first);
    CHECK(second.get() == number);
    LockFd third = open_lock(dir / "b");
    const int old_number = third.get();
    third = std::move(second);
    CHECK(third.get() == number);
    CHECK(third.intact());
    CHECK_FALSE(support::is_open(old_number));
  }
  CHECK(support::open_descriptors() == before);
}

TEST_CASE("a program without stdio does not print into a lock", "[posix][process]") {
  const TempDir dir;
  Child child{[&] {
    ::close(0);
    ::close(1);
    ::close(2);
    const LockFd a = open_lock(dir / "a"), b = open_lock(dir / "b");
    if (a.get() < 3 || b.get() < 3) return 1;
    return support::is_open(0) || support::is_open(1) || support::is_open(2) ? 2 : 0;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("a forked child has none of its parent's lock descriptors", "[posix][process]") {
  const TempDir dir;
  std::vector<LockFd> held;
  for (const char* name : {"a", "b", "c"}) held.push_back(open_lock(dir / name));
  Child child{[&] {
    for (const LockFd& fd : held)
      if (fd || fd.get() != -1 || fd.intact()) return 1;
    return 0;
  }};
  CHECK(child.wait() == Exit{0, 0});
  for (const LockFd& fd : held) CHECK(fd.intact());
}

TEST_CASE("a number that a forked child has used again is not closed by its inherited object", "[posix][process]") {
  const TempDir dir;
  LockFd held = open_lock(dir / "a");
  const int number = held.get();
  Child child{[&] {
    if (support::is_open(number)) return 1;
    const int other = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (other != number && ::dup2(other, number) != number) return 2;
    held.reset();
    return support::is_open(number) ? 0 : 3;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("the lock of a process that died is free, though its forked child lives", "[posix][process]") {
  const TempDir dir;
  const std::string path = dir.write("a");
  const support::Pipe forked, done;
  Child parent{[&] {
    const LockFd held = open_lock(path);
    if (sys_flock(held.get(), LOCK_EX | LOCK_NB) != 0) return 1;
    const Child child{[&] {
      forked.tell();
      return done.hear() ? 0 : 1;
    }};
    Child::sleep();
  }};
  REQUIRE(forked.hear());
  const UniqueFd other{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
  REQUIRE(sys_flock(other.get(), LOCK_EX | LOCK_NB) == -1);
  REQUIRE(parent.kill() == Exit{-1, SIGKILL});
  CHECK(sys_flock(other.get(), LOCK_EX | LOCK_NB) == 0);
  done.tell();
}

TEST_CASE("a descriptor whose number became a stranger's is left alone", "[posix]") {
  const TempDir dir;
  const int stranger = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  LockFd fd = open_lock(dir / "a");
  const int number = fd.get();
  REQUIRE(::dup2(stranger, number) == number);  // somebody closed what was not theirs, and opened something else
  CHECK_FALSE(fd.intact());
  fd.reset();
  CHECK(support::is_open(number));
  ::close(number);
  ::close(stranger);
}

TEST_CASE("no fork, however it falls, leaves a lock descriptor open in a child", "[posix][process][threads]") {
  const TempDir dir;
  const std::string path = dir.write("a");
  std::atomic<bool> enough{false};
  std::vector<std::thread> openers;
  for (int i = 0; i < 3; ++i)
    openers.emplace_back([&] {
      while (!enough) open_lock(path);
    });

  int leaked = 0;
  for (int i = 0; i < 50; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      // Nothing that allocates: the other threads are gone, and may have had malloc's locks.
      struct stat wanted {
      }, found{};
      int answer = ::stat(path.c_str(), &wanted) == 0 ? 0 : 2;
      for (int fd = 0; fd < 256; ++fd)
        if (::fstat(fd, &found) == 0 && found.st_ino == wanted.st_ino && found.st_dev == wanted.st_dev) answer = 1;
      ::_exit(answer);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    leaked += status != 0;
  }
  enough = true;
  for (auto& opener : openers) opener.join();
  CHECK(leaked == 0);
}

TEST_CASE("a stranger's descriptor under the number of a lock's survives fork", "[posix][process]") {
  const TempDir dir;
  const int stranger = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const LockFd fd = open_lock(dir / "a");
  const int number = fd.get();
  REQUIRE(::dup2(stranger, number) == number);
  Child child{[number] { return support::is_open(number) ? 0 : 1; }};
  CHECK(child.wait() == Exit{0, 0});
  ::close(number);
  ::close(stranger);
}
