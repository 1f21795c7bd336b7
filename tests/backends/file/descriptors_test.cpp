// SPDX-License-Identifier: MIT
// Descriptors: when there are none, when they are low ones, and when somebody closes those that are not his.
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "ground.hpp"
#include "support/counters.hpp"

using namespace ground;
using support::open_descriptors;
namespace fs = std::filesystem;

namespace {

bool allow(rlim_t descriptors) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = descriptors;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

// The lowest number that is free; with every number below the limit taken, the limit.
rlim_t next_descriptor() {
  const posix::UniqueFd fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  return static_cast<rlim_t>(fd.get());
}

bool names_the_way_out(const BackendException& e) {
  return e.code() == Errc::system && e.cause() == std::errc::too_many_files_open && std::string{e.what()}.find("ulimit -n") != std::string::npos;
}

// A stranger's file under a number that was ours, locked by the stranger.
class Stranger {
 public:
  Stranger(const std::string& path, int number) : path_{path}, number_{number} {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd != number) {
      ::dup2(fd, number);
      ::close(fd);
    }
    ::flock(number, LOCK_EX);
  }
  // Open, the same file, and locked still.
  bool unharmed() const {
    struct stat mine {}, named {};
    return ::fstat(number_, &mine) == 0 && ::stat(path_.c_str(), &named) == 0 && mine.st_ino == named.st_ino && !flock_would_get(path_);
  }

 private:
  const std::string path_;
  const int number_;
};

void close_all_above_stderr() { ::syscall(SYS_close_range, 3, ~0u, 0); }

}  // namespace

TEST_CASE("out of descriptors is an error that says so wherever it happens, and all is well when there are some again", "[file][process]") {
  if (playground::kSanitized) return skip("sanitizers need descriptors of their own");
  const Ground ground;
  const int failures = [&] {
    int count = 0;
    for (rlim_t more = 0; more < 20; ++more) {
      const std::string store = ground.store + std::to_string(more);
      Child child{[&] {
        const rlim_t first = next_descriptor();
        const auto use = [&] {
          FileLock lock{"x", {.timeout = forever}, store};
          lock.acquire();
          if (!lock.locked()) return 3;
          lock.release();
          return lock.locked() ? 4 : 0;
        };
        if (!allow(first + more)) return 2;
        bool failed = false;
        try {
          if (const int wrong = use()) return wrong;
        } catch (const BackendException& e) {
          failed = true;
          if (!names_the_way_out(e) || std::string{e.what()}.find(store) == std::string::npos) {
            std::fprintf(stderr, "said with %d descriptors: %s\n", static_cast<int>(more), e.what());
            return 5;
          }
        }
        if (!allow(first + 100)) return 6;
        if (const int wrong = use()) return wrong + 10;
        // What an open store keeps is two: the directory and the companion.
        if (next_descriptor() > first + 2) return 7;
        return failed ? 77 : 0;
      }};
      const Exit exit = child.wait();
      CAPTURE(more);
      if (exit == Exit{77, 0})
        ++count;
      else
        CHECK(exit == Exit{0, 0});
    }
    return count;
  }();
  CHECK(failures >= 3);
}

TEST_CASE("a lock that is held can be renewed and released when there are no more descriptors", "[file][process]") {
  if (playground::kSanitized) return skip("sanitizers need descriptors of their own");
  const Ground ground;
  Child child{[&] {
    auto lock = ground.lock("x", {.expire = 1h}), other = ground.lock();
    lock.acquire();
    if (!allow(next_descriptor())) return 1;
    if (!lock.renew()) return 2;
    if (other.try_acquire()) return 3;
    lock.release();
    if (!throws<BackendException>([&] { (void)other.try_acquire(); })) return 4;  // a second object needs a second descriptor
    return lock.try_acquire() ? 0 : 5;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("a program without stdin, stdout and stderr writes into no lock", "[file][process]") {
  const Ground ground;
  Child child{[&] {
    for (const int fd : {0, 1, 2}) ::close(fd);
    auto lock = ground.lock();
    lock.acquire();
    for (const int fd : lock.inheritable())
      if (fd < 3) return 1;
    std::printf("written to whatever is number one\n");
    std::fflush(stdout);
    std::fprintf(stderr, "written to whatever is number two\n");
    for (const auto& file : fs::directory_iterator{ground.store})
      if (file.path().extension() == ".lock" && file.file_size() != 0) return 2;
    lock.release();
    return 0;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("no descriptor of a lock or its store takes the place of stdin, stdout or stderr", "[file][process]") {
  const Ground ground;
  Child child{[&] {
    for (const int fd : {0, 1, 2}) ::close(fd);
    auto lock = ground.lock();
    lock.acquire();
    if (!lock.locked()) return 4;
    for (const int fd : {0, 1, 2})
      if (support::is_open(fd)) return 1 + fd;
    return 0;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("a holder whose descriptors were closed by somebody is told, and the stranger's that came in their place are left alone", "[file][process]") {
  for (const Duration expire : {never, Duration{1h}})
    for (const bool renews : {false, true}) {
      CAPTURE(expire.text(), renews);
      const Ground ground;
      Child child{[&] {
        auto lock = ground.lock("x", {.expire = expire});
        lock.acquire();
        const std::vector<int> ours = lock.inheritable();
        close_all_above_stderr();
        const Stranger first{ground.dir / "first", ours.at(0)}, second{ground.dir / "second", ours.at(1)};
        let_the_last_look_be_old();
        if (renews && lock.renew()) return 1;
        if (!throws<LockLostException>([&] { lock.release(); })) return 2;
        if (!first.unharmed()) return 3;
        if (!second.unharmed()) return 4;
        lock.acquire();
        if (flock_would_get(lock.path())) return 5;
        lock.release();
        return first.unharmed() && second.unharmed() ? 0 : 6;
      }};
      CHECK(child.wait() == Exit{0, 0});
    }
}

TEST_CASE("descriptors closed between two holds are made again, and strangers are left alone", "[file][process]") {
  const Ground ground;
  const bool at_once = GENERATE(true, false);
  CAPTURE(at_once);
  Child child{[&] {
    auto lock = ground.lock();
    lock.acquire();
    const std::vector<int> ours = lock.inheritable();
    lock.release();
    close_all_above_stderr();
    const Stranger first{ground.dir / "first", ours.at(0)}, second{ground.dir / "second", ours.at(1)};
    if (at_once) {
      // The store, too, may not have been looked at; an error for once is right, as long as it is one.
      try {
        (void)lock.try_acquire();
        lock.unlock();
      } catch (const BackendException&) {
      }
    }
    let_the_last_look_be_old();
    lock.acquire();
    if (flock_would_get(lock.path())) return 1;
    if (!first.unharmed()) return 2;
    if (!second.unharmed()) return 3;
    if (ground.lock().try_acquire()) return 4;
    lock.release();
    return first.unharmed() && second.unharmed() ? 0 : 5;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("who has lost his descriptors takes no lock from the living", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  Child clumsy{[&] {
    auto mine = ground.lock();
    if (mine.try_acquire()) return 1;
    close_all_above_stderr();
    let_the_last_look_be_old();
    return mine.try_acquire() || !mine.locked() ? 2 : 0;
  }};
  CHECK(clumsy.wait() == Exit{0, 0});
  CHECK(lock.renew());
  CHECK_NOTHROW(lock.release());
}

TEST_CASE("locks that come and go leave no descriptor", "[file]") {
  const Ground ground;
  auto keeper = ground.lock("keeper");
  const auto before = open_descriptors();
  for (int i = 0; i < 50; ++i) {
    auto lock = ground.lock(std::to_string(i), {.expire = i % 2 ? never : Duration{1h}});
    lock.acquire();
    CHECK(lock.locked());
    CHECK(open_descriptors() == before + 1);
    if (i % 3) lock.release();
  }
  CHECK(open_descriptors() == before);
}
