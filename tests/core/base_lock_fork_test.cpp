// SPDX-License-Identifier: MIT
// A forked child inherits the object, but not its hold.
#include <sherlock/base_lock.hpp>

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "posix/process.hpp"
#include "support/asleep.hpp"
#include "support/becomes.hpp"
#include "support/fake_clock.hpp"
#include "support/subprocess.hpp"
#include "test_lock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::Child;
using support::Exit;
using Threads = TestLock::Threads;

namespace {

template <class Call>
bool says_not_held(Call call) {
  try {
    call();
  } catch (const LockNotHeldException&) {
    return true;
  } catch (...) {
  }
  return false;
}

// 0, or the number of the first verb that took the hold for the child's.
int wrong_in_child(TestLock& lock, const TestStore& store) {
  if (lock.held()) return 1;
  if (!says_not_held([&] { lock.release(); })) return 2;
  if (!says_not_held([&] { (void)lock.renew(); })) return 3;
  if (!says_not_held([&] { (void)lock.fence(); })) return 4;
  if (!says_not_held([&] { (void)lock.abandoned(); })) return 5;
  if (!lock.inheritable().empty()) return 6;
  lock.unlock();
  return store.releases == 0 && store.renews == 0 ? 0 : 7;
}

}  // namespace

TEST_CASE("a forked child does not hold its parent's lock", "[base_lock][process]") {
  for (const Threads threads : kBoth)
    for (const Duration expire : {never, Duration{1h}}) {
      TestStore store;
      TestLock lock{store, {.expire = expire}, threads};
      lock.acquire();
      Child child{[&] { return wrong_in_child(lock, store); }};
      CHECK(child.wait() == Exit{0, 0});
      CHECK(lock.held());
      CHECK_NOTHROW(lock.release());
    }
}

TEST_CASE("nor does the child of a raw clone", "[base_lock][process]") {
  TestStore store;
  TestLock lock{store};
  lock.acquire();
  const auto child = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (child == 0) ::_exit(wrong_in_child(lock, store));
  REQUIRE(child > 0);
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(lock.held());
}

TEST_CASE("a child's destructors leave its parent's lock alone, and tell nobody", "[base_lock][process]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    int told = 0;
    auto lock = std::make_unique<TestLock>(store, Options{.on_lost = [&](const LockException&) { ++told; }}, threads);
    lock->acquire();
    Child child{[&] {
      lock.reset();
      return store.releases == 0 && told == 0 && store.taken() ? 0 : 1;
    }};
    CHECK(child.wait() == Exit{0, 0});
    CHECK(lock->held());
  }
}

TEST_CASE("a child can use the object for holds of its own", "[base_lock][process]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    std::optional<Owner> asked;
    TestLock lock{store, {}, threads};
    lock.acquire();
    const auto fence = lock.fence();
    store.on_acquire = [&](const Claim& claim) { asked = claim.owner; };
    Child child{[&] {
      if (lock.try_acquire()) return 1;
      if (asked->process == store.owner->process || asked->process != posix::process_token()) return 2;
      store.free();  // as if the parent had died
      lock.acquire();
      if (!lock.held() || lock.fence() <= fence) return 3;
      lock.release();
      return store.taken() ? 4 : 0;
    }};
    CHECK(child.wait() == Exit{0, 0});
    CHECK(lock.held());
  }
}

TEST_CASE("a hold that was lost before the fork is nothing to the child", "[base_lock][process]") {
  support::FakeClock clock;
  TestStore store;
  int told = 0;
  TestLock lock{store, {.expire = 10s, .on_lost = [&](const LockException&) { ++told; }}};
  lock.acquire();
  clock.advance(11s);
  Child late{[&] { return wrong_in_child(lock, store) == 0 && told == 0 ? 0 : 1; }};
  CHECK(late.wait() == Exit{0, 0});
  CHECK_FALSE(lock.renew());
  Child lost{[&] { return says_not_held([&] { lock.release(); }) && says_not_held([&] { (void)lock.renew(); }) && told == 1 ? 0 : 1; }};
  CHECK(lost.wait() == Exit{0, 0});
  CHECK_THROWS_AS(lock.release(), LockLostException);
}

TEST_CASE("a child can acquire anew what its parent had lost", "[base_lock][process]") {
  support::FakeClock clock;
  TestStore store;
  int told = 0;
  TestLock lock{store, {.expire = 10s, .on_lost = [&](const LockException&) { ++told; }}};
  lock.acquire();
  clock.advance(11s);
  Child child{[&] {
    lock.acquire();
    return lock.held() && told == 0 && store.releases == 0 ? 0 : 1;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

// The mutex that such a child inherits is locked by a thread that it does not have.
TEST_CASE("a child that is forked while another thread waits with the object is not stuck", "[base_lock][process][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    store.take_by_stranger();
    TestLock lock{store, {.timeout = forever, .retry_interval = 1h}, threads};
    std::stop_source stop;
    std::thread waiter{[&] { CHECK_THROWS_AS(lock.acquire(stop.get_token()), LockCancelledException); }};
    CHECK(support::becomes([&] { return store.waits == 1; }));
    CHECK(support::others_asleep());
    Child child{[&] {
      if (lock.try_acquire() || lock.try_acquire_for(1ms)) return 1;
      store.free();
      lock.acquire();
      lock.release();
      return 0;
    }};
    CHECK(child.wait() == Exit{0, 0});
    stop.request_stop();
    waiter.join();
  }
}

// Destroying a condition variable waits for those who wait on it, and they are not in the child.
TEST_CASE("a child that is forked while several threads wait with the object can destroy it", "[base_lock][process][threads]") {
  for (const Threads threads : kBoth) {
    CAPTURE(static_cast<int>(threads));
    TestStore store;
    store.take_by_stranger();
    auto lock = std::make_unique<TestLock>(store, Options{.timeout = forever, .retry_interval = 1h}, threads);
    std::stop_source stop;
    std::vector<std::thread> waiters;
    for (int i = 0; i < 3; ++i) waiters.emplace_back([&] { CHECK_THROWS_AS(lock->acquire(stop.get_token()), LockCancelledException); });
    CHECK(support::becomes([&] { return store.acquires >= 3; }));
    CHECK(support::others_asleep());
    Child child{[&] {
      lock.reset();
      return 0;
    }};
    Exit exit;
    CHECK_NOTHROW(exit = child.wait());
    CHECK(exit == Exit{0, 0});
    stop.request_stop();
    for (auto& waiter : waiters) waiter.join();
  }
}
