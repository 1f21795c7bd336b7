// SPDX-License-Identifier: MIT
// No room, no right to write, no memory, no descriptors.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <string>

#include "ground.hpp"

using namespace ground;

namespace {

// No file may grow any more beyond what it has.
void no_file_may_grow(rlim_t bytes) {
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  ::setrlimit(RLIMIT_FSIZE, &limit);
}

}  // namespace

TEST_CASE("a full disk does not keep anybody from letting go", "[sqlite][full][process]") {
  if (::geteuid() != 0) return skip("only root can mount a small file system");
  const support::TempDir dir;
  Child alone{[&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=4m,mode=0700") != 0)
      return 77;
    const std::string db = dir / "locks.db";
    // A new database, whose log has hardly any length yet: the worst moment.
    SqliteLock lock{"x", {}, db}, lease{"y", {.expire = 60s}, db};
    lock.acquire();
    lease.acquire();
    const int fill = ::open((dir / "fill").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char page[4096] = {};
    while (::write(fill, page, sizeof page) > 0) {
    }
    if (::write(fill, page, 1) > 0) return 2;
    for (int i = 0; i < 500; ++i)
      if (!lease.renew()) return 3;
    lease.release();
    lock.release();
    // And to take what is there; a name that is not there needs room, and says so.
    for (int i = 0; i < 500; ++i) {
      lock.acquire();
      lock.release();
    }
    Errc why{};
    try {
      for (int i = 0; i < 2000; ++i) SqliteLock("name " + std::to_string(i) + std::string(900, 'n'), {}, db).acquire();
    } catch (const BackendException& e) {
      why = static_cast<Errc>(e.code().value());
      if (std::string{e.what()}.find("make room") == std::string::npos) return 4;
    }
    if (why != Errc::system) return 5;
    // The names have not used up what is kept for those who let go.
    for (int i = 0; i < 50; ++i) {
      lock.acquire();
      lock.release();
    }
    ::unlink((dir / "fill").c_str());
    ::close(fill);
    SqliteLock("another", {}, db).acquire();
    return Outsider{db}.ask("PRAGMA integrity_check") == "ok" ? 0 : 6;
  }};
  const Exit end = alone.wait();
  if (end == Exit{77, 0}) return skip("no small file system can be mounted here");
  CHECK(end == Exit{0, 0});
}

TEST_CASE("where nothing can be written a release says so, is still held, and can be tried again", "[sqlite][full][process]") {
  const Ground ground;
  Child child{[&] {
    auto lock = ground.lock("x", {.timeout = 1s});
    lock.acquire();
    rlimit before;
    ::getrlimit(RLIMIT_FSIZE, &before);
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{0, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
    const auto e = thrown<BackendException>([&] { lock.release(); });
    if (e.code() != Errc::system || !lock.held()) return 1;
    if (!throws<BackendException>([&] { (void)ground.lock("y").try_acquire(); })) return 2;
    ::setrlimit(RLIMIT_FSIZE, &before);
    lock.release();
    return ground.integrity() == "ok" ? 0 : 3;
  }};
  CHECK(child.wait() == Exit{0, 0});
  Child dies{[&] {
    auto lock = ground.lock();
    lock.acquire();
    no_file_may_grow(0);
    return throws<BackendException>([&] { lock.release(); }) ? 0 : 1;
  }};
  CHECK(dies.wait() == Exit{0, 0});
  CHECK(is_free(ground));  // its end lets go of what it could not
}

TEST_CASE("a database that may not be written is a typed error", "[sqlite][full][process]") {
  if (::geteuid() != 0) return skip("only root can become somebody else");
  const Ground ground;
  { auto lock = ground.lock(); }
  REQUIRE(::chmod(ground.dir.path().c_str(), 0755) == 0);
  for (const char* file : {"", "-wal", "-shm"})
    if (exists(ground.db + file)) REQUIRE(::chmod((ground.db + file).c_str(), 0644) == 0);
  Child other{[&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 1;
    const auto e = thrown<BackendException>([&] { (void)ground.lock(); });
    return e.code() == Errc::unsafe ? 0 : 2;
  }};
  CHECK(other.wait() == Exit{0, 0});
}

TEST_CASE("out of memory for SQLite is a typed error, and passes", "[sqlite][full][process]") {
  const Ground ground;
  Child child{[&] {
    auto lock = ground.lock();
    lock.acquire();
    sqlite3_hard_heap_limit64(1);
    bool told = throws<BackendException>([&] { (void)ground.lock("a name that is new").try_acquire(); });
    try {
      lock.release();
      lock.acquire();
    } catch (const BackendException& e) {
      if (e.code() != Errc::system) return 1;
    }
    sqlite3_hard_heap_limit64(1 << 30);
    if (!lock.held()) lock.acquire();
    lock.release();
    return told && ground.integrity() == "ok" ? 0 : 2;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("without descriptors for the database the error names the way out", "[sqlite][full][process]") {
  if (playground::kSanitized) return skip("sanitizers need descriptors themselves");
  const Ground ground;
  { auto lock = ground.lock(); }
  Child child{[&] {
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const rlimit limit{static_cast<rlim_t>(next + 4), static_cast<rlim_t>(next + 4)};
    ::close(next);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const auto e = thrown<BackendException>([&] { (void)ground.lock(); });
    return e.code() == Errc::system && std::string{e.what()}.find("ulimit -n") != std::string::npos ? 0 : 1;
  }};
  CHECK(child.wait() == Exit{0, 0});
}
