// SPDX-License-Identifier: MIT
#include "posix/syscall.hpp"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "catch.hpp"
#include "posix/unique_fd.hpp"
#include "support/fault_script.hpp"
#include "support/temp_dir.hpp"

using namespace sherlock::posix;
using support::FaultScript;

TEST_CASE("a call that a signal interrupted is made again, until it has an answer", "[posix]") {
  const support::TempDir dir;
  const std::string path = dir.write("file");
  const UniqueFd fd{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
  FaultScript faults;

  SECTION("openat") {
    faults.fail<&Syscalls::openat>(EINTR, 1, 3);
    CHECK(UniqueFd{sys_openat(AT_FDCWD, path.c_str(), O_RDONLY)});
    CHECK(faults.calls<&Syscalls::openat>() == 4);
  }
  SECTION("flock") {
    faults.fail<&Syscalls::flock>(EINTR, 1, 3);
    CHECK(sys_flock(fd.get(), LOCK_EX) == 0);
    CHECK(faults.calls<&Syscalls::flock>() == 4);
  }
  SECTION("fcntl locks") {
    faults.fail<&Syscalls::fcntl_lock>(EINTR, 1, 3);
    struct flock range {};
    range.l_type = F_WRLCK;
    CHECK(sys_fcntl_lock(fd.get(), F_OFD_SETLK, &range) == 0);
    CHECK(faults.calls<&Syscalls::fcntl_lock>() == 4);
  }
  SECTION("fstat, fstatat and fstatfs") {
    faults.fail<&Syscalls::fstat>(EINTR);
    faults.fail<&Syscalls::fstatat>(EINTR);
    faults.fail<&Syscalls::fstatfs>(EINTR);
    struct stat file {};
    struct statfs fs {};
    CHECK(sys_fstat(fd.get(), &file) == 0);
    CHECK(sys_fstatat(AT_FDCWD, path.c_str(), &file, 0) == 0);
    CHECK(sys_fstatfs(fd.get(), &fs) == 0);
  }
  SECTION("fallocate, which returns the error and has no errno") {
    faults.fail<&Syscalls::fallocate>(EINTR, 1, 3);
    CHECK(sys_fallocate(fd.get(), 0, 4096) == 0);
    CHECK(faults.calls<&Syscalls::fallocate>() == 4);
    struct stat file {};
    REQUIRE(::fstat(fd.get(), &file) == 0);
    CHECK(file.st_size == 4096);
  }
}

TEST_CASE("close is never made twice, because the number may be a stranger's by then", "[posix]") {
  FaultScript faults;
  faults.fail<&Syscalls::close>(EINTR);
  sys_close(12345);
  CHECK(faults.calls<&Syscalls::close>() == 1);
}

TEST_CASE("closing on the way out leaves the errno of what failed", "[posix]") {
  FaultScript faults;
  faults.fail<&Syscalls::close>(EIO);
  errno = ENOSPC;
  sys_close(12345);
  CHECK(errno == ENOSPC);
}

TEST_CASE("every other error is passed on as it is, at once", "[posix]") {
  FaultScript faults;
  faults.fail<&Syscalls::flock>(ENOLCK);
  CHECK(sys_flock(0, LOCK_EX) == -1);
  CHECK(errno == ENOLCK);
  CHECK(faults.calls<&Syscalls::flock>() == 1);

  faults.fail<&Syscalls::fallocate>(ENOSPC);
  CHECK(sys_fallocate(0, 0, 1) == -1);
  CHECK(errno == ENOSPC);
}

TEST_CASE("a scripted call fails when its turn comes, and no other", "[posix]") {
  FaultScript faults;
  faults.fail<&Syscalls::openat>(EMFILE, 2);
  const auto open_null = [] { return UniqueFd{sys_openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC)}; };
  CHECK(open_null());
  const UniqueFd refused = open_null();
  const int error = errno;
  CHECK_FALSE(refused);
  CHECK(error == EMFILE);
  CHECK(open_null());
}

TEST_CASE("the kernel is back when a script ends", "[posix]") {
  {
    FaultScript faults;
    faults.fail<&Syscalls::openat>(EMFILE, 1, support::kAlways);
    CHECK_FALSE(UniqueFd{sys_openat(AT_FDCWD, "/dev/null", O_RDONLY)});
    CHECK_FALSE(UniqueFd{sys_openat(AT_FDCWD, "/dev/null", O_RDONLY)});
  }
  CHECK(UniqueFd{sys_openat(AT_FDCWD, "/dev/null", O_RDONLY)});
  CHECK(syscalls().openat == real_syscalls().openat);
}

TEST_CASE("an errno becomes a system_error that says what could not be done", "[posix]") {
  errno = EROFS;
  try {
    throw_errno("cannot make the directory /x");
  } catch (const std::system_error& e) {
    CHECK(e.code() == std::errc::read_only_file_system);
    CHECK(std::string{e.what()}.find("cannot make the directory /x") != std::string::npos);
    return;
  }
  FAIL("nothing was thrown");
}
