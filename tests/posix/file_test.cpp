// SPDX-License-Identifier: MIT
#include "posix/file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include "catch.hpp"
#include "support/counters.hpp"
#include "support/fault_script.hpp"
#include "support/says.hpp"
#include "support/temp_dir.hpp"

using namespace sherlock::posix;
using support::FaultScript;
using support::says;
using support::TempDir;

namespace {

constexpr uid_t kStranger = 65534;

mode_t mode_of(const std::string& path) {
  struct stat file {};
  REQUIRE(::lstat(path.c_str(), &file) == 0);
  return file.st_mode & 07777;
}

struct stat stat_of(const std::string& path) {
  struct stat file {};
  REQUIRE(::lstat(path.c_str(), &file) == 0);
  return file;
}

UniqueFd open_own(const std::string& path, Missing missing = Missing::create) { return open_store_directory(path, {}, missing); }

// What the umask takes away for as long as it lives.
struct Umask {
  explicit Umask(mode_t mask) : before{::umask(mask)} {}
  ~Umask() { ::umask(before); }
  const mode_t before;
};

}  // namespace

TEST_CASE("a missing store directory is made, for us alone", "[posix]") {
  const TempDir dir;
  const Umask none{0};
  const UniqueFd store = open_own(dir / "store");
  CHECK(store);
  CHECK(mode_of(dir / "store") == 0700);
  CHECK((::fcntl(store.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a store directory that exists is opened as it is", "[posix]") {
  const TempDir dir;
  const std::string path = dir / "store";
  REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
  CHECK(open_own(path));
  CHECK(mode_of(path) == 0755);
}

TEST_CASE("a missing store directory can be left missing", "[posix]") {
  const TempDir dir;
  CHECK_FALSE(open_own(dir / "store", Missing::refuse));
  CHECK_FALSE(std::filesystem::exists(dir / "store"));
}

TEST_CASE("two processes that make the directory at the same time both get it", "[posix]") {
  const TempDir dir;
  const std::string path = dir / "store";
  FaultScript faults;
  faults.replace<&Syscalls::mkdir>([](const char* made, mode_t mode) {  // somebody else was a little faster
    ::mkdir(made, mode);
    errno = EEXIST;
    return -1;
  });
  CHECK(open_own(path));
}

TEST_CASE("the parents of a store directory are not made", "[posix]") {
  const TempDir dir;
  try {
    open_own(dir / "missing/store");
    FAIL("nothing was thrown");
  } catch (const std::system_error& e) {
    CHECK(e.code() == std::errc::no_such_file_or_directory);
    CHECK_THAT(e.what(), says(dir / "missing/store"));
  }
  CHECK_FALSE(std::filesystem::exists(dir / "missing"));
}

TEST_CASE("what is no directory of our own is no store, and is not changed", "[posix]") {
  const TempDir dir;
  const std::string path = dir / "store";
  std::string reason;

  SECTION("a symlink, though it leads to a good directory") {
    REQUIRE(::mkdir((dir / "good").c_str(), 0700) == 0);
    REQUIRE(::symlink((dir / "good").c_str(), path.c_str()) == 0);
    reason = "symbolic link";
  }
  SECTION("a symlink to nowhere, which is not followed to make something there") {
    REQUIRE(::symlink((dir / "nowhere").c_str(), path.c_str()) == 0);
    reason = "symbolic link";
  }
  SECTION("a file") {
    dir.write("store", "data");
    reason = "not a directory";
  }
  SECTION("a FIFO, which is not waited for") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    reason = "not a directory";
  }
  SECTION("a directory that our group can write") {
    REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    REQUIRE(::chmod(path.c_str(), 0770) == 0);
    reason = "0770";
  }
  SECTION("a directory that everybody can write, sticky or not") {
    REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    REQUIRE(::chmod(path.c_str(), 01777) == 0);
    reason = "1777";
  }

  const auto before = support::open_descriptors();
  const struct stat was = stat_of(path);
  CHECK_THROWS_AS(open_own(path), Unsafe);
  CHECK_THROWS_WITH(open_own(path), says(path) && says(reason));
  CHECK(stat_of(path).st_mode == was.st_mode);
  CHECK(stat_of(path).st_ino == was.st_ino);
  CHECK_FALSE(std::filesystem::exists(dir / "nowhere"));
  CHECK(support::open_descriptors() == before);
}

TEST_CASE("a slash at the end makes no better directory of a symlink", "[posix]") {
  const TempDir dir;
  REQUIRE(::mkdir((dir / "good").c_str(), 0700) == 0);
  REQUIRE(::symlink((dir / "good").c_str(), (dir / "link").c_str()) == 0);
  CHECK_THROWS_AS(open_own(dir / "link/"), Unsafe);
  CHECK_THROWS_AS(open_own(dir / "link//"), Unsafe);
  CHECK(open_own(dir / "good/"));
  CHECK(open_own(dir / "new/"));
}

TEST_CASE("a directory that belongs to somebody else is no store", "[posix]") {
  const TempDir dir;
  FaultScript faults;
  faults.replace<&Syscalls::fstat>([](int fd, struct stat* result) {
    const int answer = ::fstat(fd, result);
    result->st_uid = ::geteuid() + 1;
    return answer;
  });
  CHECK_THROWS_AS(open_own(dir / "store"), Unsafe);
  CHECK_THROWS_WITH(open_own(dir / "store"), says(dir / "store") && says("belongs to user"));
}

TEST_CASE("a shared store directory lets in whom its mode lets in, whatever the umask", "[posix]") {
  const TempDir dir;
  const Umask mask{0077};
  CHECK(open_store_directory(dir / "group", 0660, Missing::create));
  CHECK(mode_of(dir / "group") == 0770);
  CHECK(open_store_directory(dir / "world", 0666, Missing::create));
  CHECK(mode_of(dir / "world") == 01777);
  CHECK(open_store_directory(dir / "owner", 0600, Missing::create));
  CHECK(mode_of(dir / "owner") == 0700);
}

TEST_CASE("a shared store directory may be as open as its mode says, and no more", "[posix]") {
  const TempDir dir;
  const std::string path = dir / "store";
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);

  REQUIRE(::chmod(path.c_str(), 0770) == 0);
  CHECK(open_store_directory(path, 0660, Missing::create));
  REQUIRE(::chmod(path.c_str(), 01777) == 0);
  CHECK(open_store_directory(path, 0666, Missing::create));

  CHECK_THROWS_AS(open_store_directory(path, 0660, Missing::create), Unsafe);
  REQUIRE(::chmod(path.c_str(), 0777) == 0);
  CHECK_THROWS_WITH(open_store_directory(path, 0666, Missing::create), says("sticky"));
}

TEST_CASE("what exists is not changed to what was asked for", "[posix]") {
  const TempDir dir;
  const std::string path = dir / "store";
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  CHECK(open_store_directory(path, 0660, Missing::create));
  CHECK(mode_of(path) == 0700);
}

TEST_CASE("a directory that cannot be opened is an error with its errno and its path", "[posix]") {
  const TempDir dir;
  FaultScript faults;
  const int error = GENERATE(EMFILE, ENFILE, EACCES, ENOMEM, EIO);
  faults.fail<&Syscalls::openat>(error);
  try {
    open_own(dir / "store");
    FAIL("nothing was thrown");
  } catch (const std::system_error& e) {
    CHECK(e.code().value() == error);
    CHECK_THAT(e.what(), says(dir / "store"));
  }
}

TEST_CASE("a directory that cannot be made is an error with its errno and its path", "[posix]") {
  const TempDir dir;
  FaultScript faults;
  const int error = GENERATE(EROFS, ENOSPC, EDQUOT, EACCES);
  faults.fail<&Syscalls::mkdir>(error);
  try {
    open_own(dir / "store");
    FAIL("nothing was thrown");
  } catch (const std::system_error& e) {
    CHECK(e.code().value() == error);
    CHECK_THAT(e.what(), says(dir / "store"));
  }
}

TEST_CASE("a directory that is removed again and again is given up", "[posix]") {
  const TempDir dir;
  FaultScript faults;
  faults.fail<&Syscalls::mkdir>(EEXIST, 1, support::kAlways);
  CHECK_THROWS_AS(open_own(dir / "store"), std::system_error);
}

TEST_CASE("a lock file is a regular file with one name, of our own", "[posix]") {
  const TempDir dir;
  const std::string path = dir / "file";

  SECTION("a regular file is good") {
    dir.write("file");
    CHECK_NOTHROW(check_lock_file(stat_of(path), path, false));
  }
  SECTION("one that was unlinked a moment ago is not unsafe") {
    dir.write("file");
    struct stat file = stat_of(path);
    file.st_nlink = 0;
    CHECK_NOTHROW(check_lock_file(file, path, false));
  }
  SECTION("a symlink is not") {
    REQUIRE(::symlink("/etc/passwd", path.c_str()) == 0);
    CHECK_THROWS_WITH(check_lock_file(stat_of(path), path, false), says(path) && says("not a regular file"));
  }
  SECTION("a FIFO is not") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK_THROWS_AS(check_lock_file(stat_of(path), path, false), Unsafe);
  }
  SECTION("a directory is not") {
    REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    CHECK_THROWS_AS(check_lock_file(stat_of(path), path, true), Unsafe);
  }
  SECTION("a file with a second name is not, it may be somebody's data") {
    dir.write("other", "data");
    REQUIRE(::link((dir / "other").c_str(), path.c_str()) == 0);
    CHECK_THROWS_WITH(check_lock_file(stat_of(path), path, false), says(path) && says("hard link"));
    CHECK_THROWS_AS(check_lock_file(stat_of(path), path, true), Unsafe);
  }
  SECTION("a stranger's file is one in a shared store only") {
    dir.write("file");
    struct stat file = stat_of(path);
    file.st_uid = ::geteuid() == kStranger ? 0 : kStranger;
    CHECK_THROWS_WITH(check_lock_file(file, path, false), says(path) && says("belongs to user"));
    CHECK_NOTHROW(check_lock_file(file, path, true));
  }
}

TEST_CASE("a file system on which locks do not exclude everybody is refused by its magic number", "[posix]") {
  const TempDir dir;
  const UniqueFd store = open_own(dir / "store");
  struct Case {
    long magic;
    const char* name;
  };
  const Case c = GENERATE(Case{0x6969, "NFS"}, Case{0xFF534D42, "CIFS"}, Case{0xFE534D42, "SMB2"}, Case{0x517B, "SMB"},
                          Case{0x65735546, "FUSE"}, Case{0x01021997, "9p"}, Case{0x00C36400, "Ceph"}, Case{0x5346414F, "AFS"},
                          Case{0x0BD00BD0, "Lustre"}, Case{0x01161970, "GFS2"}, Case{0x7461636F, "OCFS2"}, Case{0x73757245, "Coda"});
  FaultScript faults;
  // A 32-bit kernel fills the upper half of the word with the sign.
  const bool sign = GENERATE(false, true);
  faults.replace<&Syscalls::fstatfs>([c, sign](int, struct statfs* result) {
    *result = {};
    result->f_type = static_cast<decltype(result->f_type)>(sign ? static_cast<int>(c.magic) : c.magic);
    return 0;
  });
  CHECK_THROWS_AS(check_local(store.get(), dir / "store"), Unsupported);
  CHECK_THROWS_WITH(check_local(store.get(), dir / "store"), says(dir / "store") && says(c.name) && says("?remote=allow"));
}

TEST_CASE("local file systems are taken", "[posix]") {
  const TempDir dir;
  const UniqueFd store = open_own(dir / "store");
  FaultScript faults;
  const long magic = GENERATE(0xEF53 /* ext4 */, 0x58465342 /* xfs */, 0x9123683E /* btrfs */, 0x01021994 /* tmpfs */,
                              0x794c7630 /* overlay */, 0x2FC12FC1 /* zfs */, 0xF2F52010 /* f2fs */);
  faults.replace<&Syscalls::fstatfs>([magic](int, struct statfs* result) {
    *result = {};
    result->f_type = static_cast<decltype(result->f_type)>(magic);
    return 0;
  });
  CHECK_NOTHROW(check_local(store.get(), dir / "store"));
}

TEST_CASE("a file system that cannot be told is an error, not a local one", "[posix]") {
  FaultScript faults;
  faults.fail<&Syscalls::fstatfs>(EIO);
  CHECK_THROWS_AS(check_local(0, "/x"), std::system_error);
}

TEST_CASE("a relative path is meant from the working directory", "[posix]") {
  CHECK(absolute_path("/a/../b") == "/a/../b");
  CHECK(absolute_path("a/../b") == std::filesystem::current_path().string() + "/a/../b");
  CHECK(absolute_path("") == std::filesystem::current_path().string() + "/");
}
