// SPDX-License-Identifier: MIT
// Descriptors: when there are none, when they are low ones, and when somebody closes those that are not his.
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "ground.hpp"
#include "support/counters.hpp"

using namespace ground;
using support::open_descriptors;

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

// A stranger's file under a number that was ours.
class Stranger {
 public:
  Stranger(const std::string& path, int number) : path_{path}, number_{number} {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == number) return;
    ::dup2(fd, number);
    ::close(fd);
  }
  // Open, and the same file.
  bool unharmed() const {
    struct stat mine {}, named {};
    return ::fstat(number_, &mine) == 0 && ::stat(path_.c_str(), &named) == 0 && mine.st_ino == named.st_ino;
  }

 private:
  const std::string path_;
  const int number_;
};

void close_all_above_stderr() { ::syscall(SYS_close_range, 3, ~0u, 0); }

}  // namespace

TEST_CASE("out of descriptors is an error that says so wherever it happens, and all is well when there are some again", "[shm][process]") {
  if (playground::kSanitized) return skip("sanitizers need descriptors of their own");
  int failures = 0;
  for (rlim_t more = 0; more < 10; ++more) {
    const Ground ground;
    Child child{[&] {
      const rlim_t first = next_descriptor();
      const auto use = [&] {
        ShmLock lock{"x", {.timeout = forever}, ground.segment};
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
        if (!names_the_way_out(e) || std::string{e.what()}.find("/dev/shm") == std::string::npos) {
          std::fprintf(stderr, "said with %d descriptors: %s\n", static_cast<int>(more), e.what());
          return 5;
        }
      }
      if (!allow(first + 100)) return 6;
      if (const int wrong = use()) return wrong + 10;
      if (next_descriptor() > first + 1) return 7;  // one is what an open segment keeps
      return failed ? 77 : 0;
    }};
    const Exit exit = child.wait();
    CAPTURE(more);
    if (exit == Exit{77, 0})
      ++failures;
    else
      CHECK(exit == Exit{0, 0});
  }
  CHECK(failures >= 2);
}

TEST_CASE("with no descriptor left, any number of locks of an open segment can be taken, waited for, looked at and released", "[shm][process]") {
  if (playground::kSanitized) return skip("sanitizers need descriptors of their own");
  const Ground ground;
  Child child{[&] {
    auto first = ground.lock("first");
    first.acquire();
    if (!allow(next_descriptor())) return 1;
    std::vector<std::unique_ptr<ShmLock>> locks;
    for (int i = 0; i < 300; ++i) {
      locks.push_back(std::make_unique<ShmLock>(std::to_string(i), Options{.expire = i % 2 ? never : Duration{1h}}, ground.segment));
      locks.back()->acquire();
      if (!locks.back()->locked() || !locks.back()->holder() || !locks.back()->renew()) return 2;
    }
    if (ground.lock("first").try_acquire_for(5ms)) return 3;
    if (ShmLock::list(ground.segment).size() != 301) return 4;
    for (const auto& lock : locks) lock->release();
    return ShmLock::clean(ground.segment) == 300 ? 0 : 5;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("a segment takes one descriptor however many locks it has, and locks that come and go leave none", "[shm]") {
  const Ground ground;
  const auto before = open_descriptors();
  auto keeper = ground.lock("keeper");
  CHECK(open_descriptors() == before + 1);
  for (int i = 0; i < 50; ++i) {
    auto lock = ground.lock(std::to_string(i), {.expire = i % 2 ? never : Duration{1h}});
    lock.acquire();
    CHECK(lock.locked());
    CHECK(open_descriptors() == before + 1);
    if (i % 3) lock.release();
  }
  CHECK(open_descriptors() == before + 1);
}

TEST_CASE("no descriptor of a segment takes the place of stdin, stdout or stderr", "[shm][process]") {
  const Ground ground;
  Child child{[&] {
    for (const int fd : {0, 1, 2}) ::close(fd);
    auto lock = ground.lock();
    lock.acquire();
    if (!lock.locked()) return 4;
    for (const int fd : {0, 1, 2})
      if (support::is_open(fd)) return 1 + fd;
    std::printf("written to whatever is number one\n");
    std::fflush(stdout);
    lock.release();
    return 0;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("a holder whose descriptors were closed by somebody is told, and the stranger's that came in their place are left alone", "[shm][process]") {
  for (const Duration expire : {never, Duration{1h}})
    for (const bool renews : {false, true}) {
      CAPTURE(expire.text(), renews);
      const Ground ground;
      Child child{[&] {
        auto lock = ground.lock("x", {.expire = expire});
        lock.acquire();
        const int ours = lock.inheritable().at(0);
        close_all_above_stderr();
        const Stranger stranger{ground.dir / "stranger", ours};
        let_the_last_look_be_old();
        if (renews && lock.renew()) return 1;
        if (!throws<LockLostException>([&] { lock.release(); })) return 2;
        if (!stranger.unharmed()) return 3;
        lock.acquire();
        if (ground.lock().try_acquire()) return 4;
        lock.release();
        return stranger.unharmed() ? 0 : 5;
      }};
      CHECK(child.wait() == Exit{0, 0});
    }
}

TEST_CASE("a holder whose descriptors were closed is told even where the segment, opened anew for another lock, got the same number", "[shm][process]") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  Child child{[&] {
    auto lock = ground.lock("x", {.expire = expire}), other = ground.lock("other");
    lock.acquire();
    const int ours = lock.inheritable().at(0);
    while (next_descriptor() < static_cast<rlim_t>(ours))  // so that it comes out as it was
      if (::open("/dev/null", O_RDONLY) < 0) return 1;
    close_all_above_stderr();
    while (next_descriptor() + 1 < static_cast<rlim_t>(ours))
      if (::open("/dev/null", O_RDONLY) < 0) return 1;
    let_the_last_look_be_old();
    other.acquire();
    if (other.inheritable().at(0) != ours) return 77;
    let_the_last_look_be_old();
    if (lock.renew()) return 2;
    if (!throws<LockLostException>([&] { lock.release(); })) return 3;
    return other.renew() ? 0 : 4;
  }};
  const Exit exit = child.wait();
  if (exit.code == 77) return skip("the number did not come again");
  CHECK(exit == Exit{0, 0});
}

TEST_CASE("who has lost his descriptors takes no lock from the living, at no moment", "[shm][process]") {
  const Ground ground;
  const bool strangers_come = GENERATE(false, true);
  CAPTURE(strangers_come);
  auto lock = ground.lock();
  lock.acquire();
  Child clumsy{[&] {
    auto mine = ground.lock(), other = ground.lock("other");
    other.acquire();
    const int ours = other.inheritable().at(0);
    if (mine.try_acquire()) return 1;
    close_all_above_stderr();
    // In whose locks nobody is present.
    if (strangers_come) static_cast<void>(new Stranger{ground.dir / "stranger", ours});
    try {
      if (mine.try_acquire()) return 2;
    } catch (const BackendException&) {  // right too, for once
    }
    let_the_last_look_be_old();
    return mine.try_acquire() || !mine.locked() ? 3 : 0;
  }};
  CHECK(clumsy.wait() == Exit{0, 0});
  CHECK(lock.renew());
  CHECK_NOTHROW(lock.release());
}
