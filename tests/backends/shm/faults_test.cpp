// SPDX-License-Identifier: MIT
// A kernel that fails at any call: a typed error or success, never "somebody has it", never a leak, and all is well afterwards.
#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
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
Verdict use(const std::string& segment, Duration expire) {
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
    ShmLock lock{"x", {.expire = expire}, segment};
    step("a free lock was refused", [&] { return lock.try_acquire(); });
    if (lock.held()) {
      step("a held lock was not locked", [&] { return lock.locked(); });
      step("a held lock had no holder", [&] { return lock.holder().has_value(); });
      step("a held lock was not listed", [&] { return ShmLock::list(segment).size() == 1; });
      step("not renewed", [&] { return lock.renew() || (verdict.failed = true); });
      step("not released", [&] { return lock.release(), true; });
      if (lock.held()) step("not released at the second attempt", [&] { return lock.release(), true; });
      if (lock.held()) verdict.wrong = "held for ever";
    }
    if (!verdict.failed) step("locked after its release", [&] { return !lock.locked(); });
    step("not cleaned", [&] { return ShmLock::clean(segment) == 1 || verdict.failed; });
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
          verdict = use(ground.segment, expire);
          *calls = script.calls<Entry>();
        }
        *told = verdict.failed;
        if (verdict.wrong) return std::fprintf(stderr, "%s fails with %d at call %d: %s\n", name, error, nth, verdict.wrong), 1;
        verdict = use(ground.segment, expire);
        if (verdict.failed || verdict.wrong)
          return std::fprintf(stderr, "afterwards (%s, %d, call %d): %s\n", name, error, nth, verdict.wrong ? verdict.wrong : "failed"), 2;
        const auto before = open_descriptors();
        for (int i = 0; i < 3; ++i) (void)use(ground.segment, expire);
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

TEST_CASE("when the segment cannot be opened, that is an error and no answer", "[shm][process]") {
  for (const int error : {EMFILE, EIO, ENOSPC, EINTR}) sweep<&Syscalls::openat>("openat", error);
}
TEST_CASE("when the locks of the segment fail, that is an error and no answer", "[shm][process]") {
  for (const int error : {ENOLCK, EIO, EINTR}) sweep<&Syscalls::fcntl_lock>("fcntl", error);
}
TEST_CASE("when the segment cannot be looked at, that is an error and no answer", "[shm][process]") {
  for (const int error : {EIO, EINTR}) {
    sweep<&Syscalls::fstat>("fstat", error);
    sweep<&Syscalls::fstatat>("fstatat", error);
  }
}
TEST_CASE("when the segment cannot be made, that is an error and no answer", "[shm][process]") {
  sweep<&Syscalls::fallocate>("fallocate", ENOSPC);
  sweep<&Syscalls::fallocate>("fallocate", EINTR);
  sweep<&Syscalls::linkat>("linkat", EIO);
}
TEST_CASE("when a lock of the segment that is for others, or a close, fails, nothing comes of it", "[shm][process]") {
  sweep<&Syscalls::flock>("flock", EIO);
  sweep<&Syscalls::close>("close", EIO);
}

TEST_CASE("a shared segment whose mode cannot be set is an error, and there is none", "[shm]") {
  const Ground ground;
  FaultScript script;
  script.fail<&Syscalls::fchmod>(EPERM);
  const auto e = thrown<BackendException>([&] { ShmLock("x", {}, ground.segment + "?mode=0660"); });
  CHECK(std::string{e.what()}.find(ground.path) != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(ground.path));
  CHECK_NOTHROW(ShmLock("x", {}, ground.segment + "?mode=0660"));
}

TEST_CASE("a waiter that cannot sleep, or is woken for nothing, has the lock when it is free and not before", "[shm][process]") {
  const Ground ground;
  for (const int error : {EINTR, EAGAIN, ENOSYS, EPERM}) {
    CAPTURE(error);
    Pipe ready, go;
    Child holder{[&] {
      auto lock = ground.lock();
      lock.acquire();
      ready.tell();
      if (!go.hear()) return 1;
      lock.release();
      return 0;
    }};
    REQUIRE(ready.hear());
    Child waiter{[&] {
      FaultScript script;
      script.fail<&Syscalls::futex_waitv>(error, 1, error == EINTR || error == EAGAIN ? 200 : support::kAlways);
      if (error == EPERM) script.fail<&Syscalls::futex>(EINTR, 1, 50);
      auto lock = ground.lock("x", {.timeout = kPatience});
      if (lock.try_acquire_for(20ms)) return 1;
      ready.tell();
      lock.acquire();
      return lock.abandoned() ? 2 : 0;
    }};
    REQUIRE(ready.hear());
    go.tell();
    CHECK(waiter.wait() == Exit{0, 0});
    CHECK(holder.wait() == Exit{0, 0});
  }
}

TEST_CASE("a waiter whose look at the holder fails leaves its place", "[shm]") {
  const Ground ground;
  {
    Pipe ready;
    Child other{[&] {
      auto mine = ground.lock("y");
      mine.acquire();
      ready.tell();
      Child::sleep();
      return 0;
    }};
    REQUIRE(ready.hear());
    auto waits_for_other = ground.lock("y", {.timeout = forever});
    FaultScript script;
    script.fail<&Syscalls::fcntl_lock>(EIO, 2, support::kAlways);
    CHECK_THROWS_AS(waits_for_other.acquire(), BackendException);
  }
  auto look = ground.lock("y");
  CHECK(look.try_acquire());
  CHECK(look.holder()->waiting == std::uint64_t{0});
}

TEST_CASE("a storm of signals changes no result", "[shm][process]") {
  const Ground ground;
  const Shared<std::atomic<int>> inside, overlaps, signals;
  static std::atomic<int>* counter = nullptr;
  counter = &*signals;
  std::vector<Child> children;
  for (int i = 0; i < 3; ++i)
    children.emplace_back([&, i] {
      struct sigaction action {};
      action.sa_handler = [](int) { counter->fetch_add(1, std::memory_order_relaxed); };
      action.sa_flags = i == 1 ? SA_RESTART : 0;
      ::sigaction(SIGUSR1, &action, nullptr);
      timer_t timer{};
      sigevent event{};
      event.sigev_notify = SIGEV_SIGNAL;
      event.sigev_signo = SIGUSR1;
      if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return 1;
      const itimerspec often{{0, 300000}, {0, 300000}};
      if (::timer_settime(timer, 0, &often, nullptr) != 0) return 2;

      auto lock = ground.lock("x", {.expire = i == 0 ? Duration{1h} : never, .timeout = forever});
      for (int n = 0; n < 300; ++n) {
        lock.acquire();
        if (inside->exchange(1) != 0) ++*overlaps;
        if (n % 8 == 0) std::this_thread::sleep_for(200us);
        if (!lock.renew()) return 3;
        inside->store(0);
        lock.release();
      }
      return 0;
    });
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  CHECK(signals->load() > 0);
  CHECK(overlaps->load() == 0);
}
