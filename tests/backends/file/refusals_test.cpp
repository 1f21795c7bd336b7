// SPDX-License-Identifier: MIT
// What is in the way, or not safe to use, is refused: with a text that names it and the way out, at once, and nothing is changed.
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "ground.hpp"
#include "support/counters.hpp"
#include "support/fault_script.hpp"
#include "support/says.hpp"

using namespace ground;
using support::entries;
using support::FaultScript;
using support::open_descriptors;
using support::says;
using support::Syscalls;
namespace fs = std::filesystem;

namespace {

struct Refused {
  Errc code{};
  std::string text;
};

// A waiting verb with all the time in the world: what is refused late, or waited for, is seen by the test's own timeout.
Refused refused(FileLock& lock) {
  try {
    lock.acquire();
  } catch (const BackendException& e) {
    CHECK(e.lock() == "x");
    CHECK(e.backend() == "file");
    return {static_cast<Errc>(e.code().value()), e.what()};
  }
  lock.release();
  return {};
}
Refused refused(const std::string& client) {
  try {
    FileLock lock{"x", {.timeout = forever}, client};
    return refused(lock);
  } catch (const BackendException& e) {
    CHECK(e.lock() == "x");
    CHECK(e.backend() == "file");
    return {static_cast<Errc>(e.code().value()), e.what()};
  }
}

void chmod(const std::string& path, mode_t mode) { REQUIRE(::chmod(path.c_str(), mode) == 0); }

// A file system of the test's own, or none where that is not allowed.
class Mounted {
 public:
  Mounted(const std::string& path, const std::string& options) : path_{path} {
    fs::create_directory(path);
    mounted_ = ::geteuid() == 0 && ::mount("tmpfs", path.c_str(), "tmpfs", 0, ("mode=0700," + options).c_str()) == 0;
  }
  ~Mounted() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  explicit operator bool() const { return mounted_; }
  bool make_read_only() const { return ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0; }

 private:
  const std::string path_;
  bool mounted_;
};

}  // namespace

// As somebody can do who may make files where the lock's is: in the moment in which its links are counted, the data has one.
TEST_CASE("somebody's data that is linked to a lock's path, only not while its links are counted, is refused and left alone", "[file]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = forever});
  REQUIRE_FALSE(lock.locked());
  const std::string path = lock.path(), victim = ground.dir.write("victim", "precious\n");
  const struct stat before = stat_of(victim);
  fs::create_hard_link(victim, path);
  support::FaultScript script;
  int tricks = 0;
  script.replace<&posix::Syscalls::fstat>([&](int fd, struct stat* found) {
    const int result = posix::real_syscalls().fstat(fd, found);
    if (result == 0 && found->st_ino == before.st_ino && ++tricks == 1) found->st_nlink = 1;
    return result;
  });
  CHECK(refused(lock).code == Errc::unsafe);
  CHECK(tricks > 1);
  CHECK(stat_of(victim).st_mtim.tv_nsec == before.st_mtim.tv_nsec);
}

TEST_CASE("what is no lock file of ours at a lock's path is refused and left alone", "[file]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = forever});
  const std::string path = lock.path(), victim = ground.dir.write("victim", "precious\n");
  const auto before = open_descriptors();
  std::string said;
  const auto check = [&](const char* what) {
    const Refused r = refused(lock);
    CHECK(r.code == Errc::unsafe);
    CHECK_THAT(r.text, says(path) && says(what) && says("remove it"));
    CHECK_THROWS_AS(lock.try_acquire(), BackendException);
  };
  SECTION("a symbolic link to somebody's data") {
    fs::create_symlink(victim, path);
    check("symbolic link");
    CHECK(fs::is_symlink(path));
  }
  SECTION("a symbolic link to nothing") {
    fs::create_symlink(ground.dir / "nothing", path);
    check("symbolic link");
    CHECK_FALSE(fs::exists(ground.dir / "nothing"));
  }
  SECTION("a hard link to somebody's data") {
    fs::create_hard_link(victim, path);
    check("hard link");
    CHECK(flock_would_get(victim));
  }
  SECTION("a pipe") {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    check("regular");
  }
  SECTION("a directory") {
    fs::create_directory(path);
    check("regular");
  }
  SECTION("a socket") {
    const posix::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    std::strcpy(address.sun_path, path.c_str());
    REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    check("regular");
  }
  SECTION("somebody else's file") {
    if (::geteuid() != 0) return skip("only root can give files away");
    fs::copy_file(victim, path);
    REQUIRE(::chown(path.c_str(), 65534, 65534) == 0);
    check("65534");
  }
  CHECK(ground.dir.read("victim") == "precious\n");
  CHECK(open_descriptors() == before);
  fs::remove(path);
  CHECK(lock.try_acquire());  // and all is well once it is gone
}

TEST_CASE("a file of ours that a neighbour links to a lock's path, for as long as it takes to open it, stays as it was", "[file]") {
  const Ground ground;
  const std::string victim = ground.dir.write("victim", "precious");
  const timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
  REQUIRE(::utimensat(AT_FDCWD, victim.c_str(), long_ago, 0) == 0);
  FileLock lock{"x", {}, ground.store + "?mode=0666"};
  {
    FaultScript script;
    script.replace<&Syscalls::openat>([&](int dir, const char* path, int flags, mode_t mode) {
      const bool is_lock = std::string_view{path}.ends_with(".lock");
      if (is_lock) (void)::linkat(AT_FDCWD, victim.c_str(), dir, path, 0);
      const int fd = posix::real_syscalls().openat(dir, path, flags, mode);
      if (is_lock) ::unlinkat(dir, path, 0);
      return fd;
    });
    try {
      lock.acquire();
      lock.release();
    } catch (const LockLostException&) {  // what it locked is not at the path any more
    } catch (const BackendException&) {
    }
  }
  CHECK(stat_of(victim).st_mtim.tv_sec == 1000000000);
  CHECK(ground.dir.read("victim") == "precious");
}

TEST_CASE("looking at a lock whose path is a pipe or a device does not hang", "[file]") {
  const Ground ground;
  const auto lock = ground.lock();
  REQUIRE(::mkfifo(lock.path().c_str(), 0600) == 0);
  const auto before = open_descriptors();
  try {
    (void)lock.locked();
    (void)lock.holder();
  } catch (const BackendException&) {
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("a directory that is not safe to use as a store is refused and left alone", "[file]") {
  const Ground ground;
  const std::string real = ground.dir / "real";
  fs::create_directory(real);
  chmod(real, 0700);
  const auto before = open_descriptors();
  const auto check = [&](Errc code, const std::string& what, const std::string& way_out) {
    const Refused r = refused(ground.store);
    CHECK(r.code == code);
    CHECK_THAT(r.text, says(ground.store) && says(what) && says(way_out));
  };
  SECTION("a symbolic link") {
    fs::create_directory_symlink(real, ground.store);
    check(Errc::unsafe, "symbolic link", "name the directory itself");
    CHECK(refused(ground.store + "/").code == Errc::unsafe);
  }
  SECTION("a symbolic link to nothing") {
    fs::create_symlink(ground.dir / "nothing", ground.store);
    check(Errc::unsafe, "symbolic link", "name the directory itself");
    CHECK_FALSE(fs::exists(ground.dir / "nothing"));
  }
  SECTION("a file") {
    ground.dir.write("locks", "precious\n");
    check(Errc::unsafe, "not a directory", "remove it or name another");
    CHECK(ground.dir.read("locks") == "precious\n");
  }
  SECTION("writable by everybody") {
    fs::create_directory(ground.store);
    chmod(ground.store, 0777);
    check(Errc::unsafe, "0777", "chmod go-w");
    CHECK((stat_of(ground.store).st_mode & 07777) == 0777);
  }
  SECTION("writable by everybody, sticky") {
    fs::create_directory(ground.store);
    chmod(ground.store, 01777);
    check(Errc::unsafe, "1777", "?mode=");
  }
  SECTION("writable by the group") {
    fs::create_directory(ground.store);
    chmod(ground.store, 0770);
    check(Errc::unsafe, "0770", "?mode=");
  }
  SECTION("shared with everybody, but not sticky") {
    fs::create_directory(ground.store);
    chmod(ground.store, 0777);
    const Refused r = refused(ground.store + "?mode=0666");
    CHECK(r.code == Errc::unsafe);
    CHECK_THAT(r.text, says(ground.store) && says("sticky") && says("chmod +t"));
  }
  SECTION("somebody else's") {
    if (::geteuid() != 0) return skip("only root can give directories away");
    fs::create_directory(ground.store);
    chmod(ground.store, 0700);
    REQUIRE(::chown(ground.store.c_str(), 65534, 65534) == 0);
    check(Errc::unsafe, "65534", "name another");
  }
  if (fs::is_directory(fs::symlink_status(ground.store))) CHECK(fs::is_empty(ground.store));
  CHECK(fs::is_empty(real));
  CHECK(open_descriptors() == before);
}

TEST_CASE("a store that is not there and cannot be made is an error that says what to make", "[file]") {
  const Ground ground;
  const auto before = open_descriptors();
  const std::string deep = ground.dir / "no/such/locks";
  const Refused r = refused(deep);
  CHECK(r.code == Errc::cannot_create);
  CHECK_THAT(r.text, says(deep) && says("parent directory"));
  CHECK_FALSE(fs::exists(ground.dir / "no"));
  CHECK(open_descriptors() == before);
}

TEST_CASE("a directory that we may not write or enter is an error", "[file][process]") {
  const Ground ground;
  chmod(ground.dir.path(), 0755);
  fs::create_directory(ground.store);
  const uid_t user = ::geteuid() == 0 ? 65534 : ::geteuid();
  REQUIRE(::chown(ground.store.c_str(), user, static_cast<gid_t>(-1)) == 0);
  for (const mode_t mode : {0500, 0000}) {
    chmod(ground.store, mode);
    Child child{[&] {
      if (::setuid(user) != 0) return 1;
      const auto before = open_descriptors();
      const Refused r = refused(ground.store);
      if (r.code != Errc::unsafe) return 2;
      if (r.text.find(ground.store) == std::string::npos || r.text.find("owner and mode") == std::string::npos) return 3;
      return open_descriptors() == before ? 0 : 4;
    }};
    CHECK(child.wait() == Exit{0, 0});
    CHECK(entries(ground.store) == 0);
  }
}

TEST_CASE("a read-only file system is an error that says so", "[file]") {
  const Ground ground;
  const Mounted mounted{ground.dir / "mount", "size=64k"};
  if (!mounted || !mounted.make_read_only()) return skip("no permission to mount");
  const auto before = open_descriptors();
  const Refused r = refused(ground.dir / "mount/locks");
  CHECK(r.code == Errc::cannot_create);
  CHECK_THAT(r.text, says(ground.dir / "mount/locks") && says("read-only"));
  CHECK(refused(ground.dir / "mount").code == Errc::cannot_create);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a full file system is an error that says so, and a lock that exists works on it", "[file]") {
  const Ground ground;
  const std::string mount = ground.dir / "mount";
  const auto before = open_descriptors();
  SECTION("no room for the companion") {
    const Mounted mounted{mount, "size=512k"};
    if (!mounted) return skip("no permission to mount");
    const Refused r = refused(mount);
    CHECK(r.code == Errc::system);
    CHECK_THAT(r.text, says(mount) && says("make room"));
    CHECK(entries(mount) == 0);
    CHECK(open_descriptors() == before);
  }
  SECTION("no more files") {
    const Mounted mounted{mount, "size=8m,nr_inodes=5"};
    if (!mounted) return skip("no permission to mount");
    const std::string ballast = ground.dir.write("mount/ballast");
    FileLock x{"x", {}, mount}, y{"y", {}, mount}, z{"z", {.timeout = forever}, mount};
    x.acquire();  // the directory, the ballast, the companion and this lock file make four
    y.acquire();
    const auto holding = open_descriptors();
    CHECK_THROWS_WITH(z.acquire(), says(z.path()) && says("make room"));
    CHECK_THROWS_AS(z.try_acquire(), BackendException);
    CHECK(open_descriptors() == holding);
    y.release();
    CHECK(y.try_acquire());
    CHECK(x.renew());
    fs::remove(ballast);
    CHECK(z.try_acquire());
  }
  SECTION("no more bytes") {
    const Mounted mounted{mount, "size=2m"};
    if (!mounted) return skip("no permission to mount");
    FileLock x{"x", {}, mount}, y{"y", {}, mount};
    x.acquire();
    {
      std::ofstream ballast{mount + "/ballast"};
      const std::string block(4096, 'x');
      while (ballast.write(block.data(), 4096).flush()) {
      }
    }
    x.release();
    CHECK(x.try_acquire());
    CHECK(y.try_acquire());  // an empty file needs no room
    CHECK_FALSE(FileLock("x", {}, mount).try_acquire());
  }
}

TEST_CASE("file systems on which locks do not exclude everybody are refused, unless they are asked for", "[file]") {
  const std::map<long, std::string> remote{{NFS_SUPER_MAGIC, "NFS"}, {0x65735546, "FUSE"}, {V9FS_MAGIC, "9p"}, {0xFF534D42, "CIFS"},
                                           {SMB_SUPER_MAGIC, "SMB"}, {0x00C36400, "Ceph"}, {0x0BD00BD0, "Lustre"}};
  for (const auto& [magic, name] : remote) {
    CAPTURE(name);
    const Ground ground;
    fs::create_directory(ground.store);
    chmod(ground.store, 0700);
    const auto before = open_descriptors();
    FaultScript script;
    script.replace<&Syscalls::fstatfs>([magic = magic](int fd, struct statfs* result) {
      const int done = posix::real_syscalls().fstatfs(fd, result);
      result->f_type = static_cast<decltype(result->f_type)>(magic);
      return done;
    });
    const Refused r = refused(ground.store);
    CHECK(r.code == Errc::unavailable);
    CHECK_THAT(r.text, says(ground.store) && says(name) && says("?remote=allow"));
    CHECK(fs::is_empty(ground.store));
    CHECK(open_descriptors() == before);
    CHECK(refused(ground.store + "?remote=allow").code == Errc{});
  }
}
