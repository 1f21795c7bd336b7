// SPDX-License-Identifier: MIT
// A kernel that fails at any call: a typed error or success, never "somebody has it", never a leak, and all is well afterwards.
#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <sherlock/clock.hpp>

#include "ground.hpp"
#include "support/counters.hpp"
#include "support/fault_script.hpp"

using namespace ground;
using support::FaultScript;
using support::open_descriptors;
using support::Syscalls;

namespace {

struct Verdict {
  bool failed = false;     // somebody was told of a failure
  const char* wrong = nullptr;
};

// Everything that a lock can be asked, with nobody else about. Whatever the kernel does, an error is an error and no answer.
Verdict use(const std::string& store, Duration expire) {
  Verdict verdict;
  const auto step = [&](const char* wrong, auto call) {
    try {
      if (!call() && !verdict.wrong) verdict.wrong = wrong;
    } catch (const BackendException& e) {
      verdict.failed = true;
      if (e.code().value() == 0 || std::string{e.what()}.empty()) verdict.wrong = "an error without a code or a text";
    } catch (const LockLostException&) {
      verdict.failed = true;  // the store could not be looked at
    } catch (const LockNotHeldException&) {
      if (!verdict.failed) verdict.wrong = "not held, and nothing had failed";
    }
  };
  step("", [&] {
    FileLock lock{"x", {.expire = expire}, store};
    step("a free lock was refused", [&] { return lock.try_acquire(); });
    if (lock.held()) {
      step("a held lock was not locked", [&] { return lock.locked(); });
      step("a held lock had no holder", [&] { return lock.holder().has_value(); });
      step("a held lock was not listed", [&] { return FileLock::list(store).size() == 1; });
      step("not renewed", [&] { return lock.renew() || (verdict.failed = true); });
      step("not released", [&] { return lock.release(), true; });
      if (lock.held()) step("not released at the second attempt", [&] { return lock.release(), true; });
      if (lock.held()) verdict.wrong = "held for ever";
    }
    if (!verdict.failed) step("locked after its release", [&] { return !lock.locked(); });
    step("not cleaned", [&] { return FileLock::clean(store) == 1 || (verdict.failed = true); });
    return true;
  });
  return verdict;
}

template <auto Entry>
void sweep(const char* name, int error) {
  for (const Duration expire : {never, Duration{1h}}) {
    int reached = 0, failed = 0;
    for (int nth = 1; nth < 80; ++nth) {
      const Ground ground;
      Shared<int> calls, told;
      Child child{[&] {
        Verdict verdict;
        {
          FaultScript script;
          script.fail<Entry>(error, nth);
          verdict = use(ground.store, expire);
          *calls = script.calls<Entry>();
        }
        *told = verdict.failed;
        if (verdict.wrong) return std::fprintf(stderr, "%s fails with %d at call %d: %s\n", name, error, nth, verdict.wrong), 1;
        verdict = use(ground.store, expire);
        if (verdict.failed || verdict.wrong)
          return std::fprintf(stderr, "afterwards (%s, %d, call %d): %s\n", name, error, nth, verdict.wrong ? verdict.wrong : "failed"), 2;
        const auto before = open_descriptors();
        for (int i = 0; i < 3; ++i) (void)use(ground.store, expire);
        return open_descriptors() == before ? 0 : 3;
      }};
      CAPTURE(name, error, nth, expire.text());
      CHECK(child.wait() == Exit{0, 0});
      failed += *told;
      if (*calls < nth) break;
      reached = nth;
    }
    CAPTURE(name, error, expire.text());
    CHECK(reached > 0);
    if (error == EINTR) CHECK(failed == 0);
  }
}

}  // namespace

TEST_CASE("when flock(2) fails, that is an error and no answer", "[file][process]") {
  for (const int error : {EIO, ENOLCK, EINTR}) sweep<&Syscalls::flock>("flock", error);
}
TEST_CASE("when a file cannot be opened, that is an error and no answer", "[file][process]") {
  for (const int error : {EMFILE, EIO, ENOSPC, EINTR}) sweep<&Syscalls::openat>("openat", error);
}
TEST_CASE("when the locks of the companion fail, that is an error and no answer", "[file][process]") {
  for (const int error : {ENOLCK, EIO, EINTR}) sweep<&Syscalls::fcntl_lock>("fcntl", error);
}
TEST_CASE("when a file cannot be looked at, that is an error and no answer", "[file][process]") {
  for (const int error : {EIO, EINTR}) {
    sweep<&Syscalls::fstat>("fstat", error);
    sweep<&Syscalls::fstatat>("fstatat", error);
    sweep<&Syscalls::fstatfs>("fstatfs", error);
  }
}
TEST_CASE("when the store cannot be made, that is an error and no answer", "[file][process]") {
  sweep<&Syscalls::mkdir>("mkdir", ENOSPC);
  sweep<&Syscalls::fallocate>("fallocate", ENOSPC);
  sweep<&Syscalls::fallocate>("fallocate", EINTR);
  sweep<&Syscalls::linkat>("linkat", EIO);
}
TEST_CASE("when a file cannot be removed or closed, nothing comes of it", "[file][process]") {
  sweep<&Syscalls::unlinkat>("unlinkat", EIO);
  sweep<&Syscalls::close>("close", EIO);
}

TEST_CASE("a release that the kernel refuses is an error, the lock is held still, and can be released again", "[file]") {
  for (const Duration expire : {never, Duration{1h}}) {
    CAPTURE(expire.text());
    const Ground ground;
    auto lock = ground.lock("x", {.expire = expire}), other = ground.lock();
    lock.acquire();
    const std::uint64_t fence = lock.fence();
    {
      FaultScript script;
      script.fail<&Syscalls::flock>(EIO);
      CHECK_THROWS_AS(lock.release(), BackendException);
    }
    CHECK(lock.held());
    CHECK(lock.fence() == fence);
    CHECK_FALSE(other.try_acquire());
    CHECK(lock.renew());
    CHECK_NOTHROW(lock.release());
    CHECK(other.try_acquire());
  }
}

TEST_CASE("an acquire that the kernel refuses leaves the lock free for others", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = forever});
  {
    FaultScript script;
    script.fail<&Syscalls::flock>(EIO, 1, support::kAlways);
    const auto e = thrown<BackendException>([&] { lock.acquire(); });
    CHECK(e.code() == Errc::system);
    CHECK(e.cause() == std::errc::io_error);
    CHECK(std::string{e.what()}.find(lock.path()) != std::string::npos);
    CHECK_THROWS_AS(lock.try_acquire(), BackendException);
  }
  Child other{[&] { return ground.lock().try_acquire() ? 0 : 1; }};
  CHECK(other.wait() == Exit{0, 0});
  CHECK(lock.try_acquire());
}

TEST_CASE("a waiter whose wait fails leaves its place", "[file]") {
  const Ground ground;
  auto holder = ground.lock(), waiter = ground.lock("x", {.timeout = forever});
  holder.acquire();
  std::atomic<bool> failing{false};
  FaultScript script;
  script.replace<&Syscalls::fcntl_lock>([&](int fd, int command, struct flock* range) {
    if (!failing) return posix::real_syscalls().fcntl_lock(fd, command, range);
    errno = EIO;
    return -1;
  });
  failing = true;
  // Whether it fails while it waits or as soon as it is woken: it does not wait for ever, nor as one who is not there.
  script.replace<&Syscalls::futex_waitv>([&](void*, unsigned, const timespec*) {
    failing = true;
    holder.unlock();
    errno = ETIMEDOUT;
    return -1L;
  });
  try {
    waiter.acquire();
    waiter.release();
  } catch (const BackendException&) {
  }
  failing = false;
  holder.unlock();
  CHECK(holder.try_acquire());
  CHECK(holder.holder()->waiting == std::uint64_t{0});
}

TEST_CASE("a storm of signals changes no result", "[file][process]") {
  const Ground ground;
  const Shared<std::atomic<int>> inside, overlaps, signals;
  static std::atomic<int>* counter = nullptr;
  counter = &*signals;
  Pipe ready;
  Child holder{[&] {
    auto lock = ground.lock("held");
    lock.acquire();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  for (const int flags : {0, SA_RESTART}) {
    std::vector<Child> children;
    for (int i = 0; i < 3; ++i)
      children.emplace_back([&, i] {
        struct sigaction action {};
        action.sa_handler = [](int) { counter->fetch_add(1, std::memory_order_relaxed); };
        action.sa_flags = flags;
        ::sigaction(SIGUSR1, &action, nullptr);
        timer_t timer{};
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGUSR1;
        if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return 1;
        const itimerspec often{{0, 300000}, {0, 300000}};
        if (::timer_settime(timer, 0, &often, nullptr) != 0) return 2;

        auto lock = ground.lock("x", {.expire = i == 0 ? Duration{1h} : never, .timeout = forever});
        auto held_elsewhere = ground.lock("held");
        for (int n = 0; n < 100; ++n) {
          lock.acquire();
          if (inside->exchange(1) != 0) ++*overlaps;
          if (n % 8 == 0) std::this_thread::sleep_for(200us);
          if (!lock.renew()) return 3;
          inside->store(0);
          lock.release();
        }
        for (const Duration timeout : {Duration{5ms}, Duration{20ms}}) {
          const auto start = sherlock::clock().monotonic();
          if (held_elsewhere.try_acquire_for(timeout)) return 4;
          if (sherlock::clock().monotonic() - start < timeout.ns()) return 5;
        }
        return 0;
      });
    for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  }
  CHECK(signals->load() > 0);
  CHECK(overlaps->load() == 0);
}
