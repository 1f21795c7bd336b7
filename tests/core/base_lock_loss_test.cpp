// SPDX-License-Identifier: MIT
// Holds that end other than by a good release: what the verbs say, and what on_lost is told.
#include <sherlock/base_lock.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "support/fake_clock.hpp"
#include "support/says.hpp"
#include "test_lock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::FakeClock;
using support::says;
using Threads = TestLock::Threads;

namespace {

// What on_lost was told, in this order.
struct Told {
  std::vector<std::error_code> codes;
  OnLost callback() {
    return [this](const LockException& what) { codes.push_back(what.code()); };
  }
  Options options(std::optional<Duration> expire = {}) { return {.expire = expire, .on_lost = callback()}; }
};

using Codes = std::vector<std::error_code>;
const Codes kLost{make_error_code(Errc::lost)};

void fail(const Claim&) { throw BackendException{Errc::unavailable, "the server is gone"}; }

}  // namespace

TEST_CASE("a good release is not a loss", "[base_lock][loss]") {
  TestStore store;
  Told told;
  TestLock lock{store, told.options()};
  lock.acquire();
  lock.release();
  lock.acquire();
  lock.unlock();
  { TestLock{store, told.options()}.acquire(); }
  CHECK(told.codes.empty());
}

TEST_CASE("a hold past its expiry is not held, whatever the store thinks", "[base_lock][loss]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    TestStore store;
    TestLock lock{store, {.expire = 10s}, threads};
    lock.acquire();
    clock.advance(10s - 1ns);
    CHECK(lock.held());
    CHECK_NOTHROW(lock.fence());
    clock.advance(1ns);
    CHECK_FALSE(lock.held());
    CHECK_THROWS_AS(lock.fence(), LockNotHeldException);
    CHECK_THROWS_AS(lock.abandoned(), LockNotHeldException);
    CHECK(store.taken());
  }
}

TEST_CASE("a lease goes on while the machine is suspended", "[base_lock][loss]") {
  FakeClock clock;
  TestStore store;
  TestLock lock{store, {.expire = 10s}};
  lock.acquire();
  clock.suspend(11s);
  CHECK_FALSE(lock.held());
  CHECK_THROWS_AS(lock.release(), LockLostException);
}

TEST_CASE("the wall clock does not touch a lease", "[base_lock][loss]") {
  FakeClock clock;
  TestStore store;
  TestLock lock{store, {.expire = 10s}};
  lock.acquire();
  clock.step_wall(24h * 365);
  CHECK(lock.held());
  CHECK(lock.renew());
  clock.step_wall(-24h * 730);
  CHECK_NOTHROW(lock.release());
}

TEST_CASE("never means never", "[base_lock][loss]") {
  FakeClock clock;
  TestStore store;
  TestLock lock{store, {.expire = never}};
  lock.acquire();
  clock.advance(24h * 365 * 100);
  CHECK(lock.held());
  CHECK_NOTHROW(lock.release());
}

TEST_CASE("a release past the expiry says that the hold was lost, once", "[base_lock][loss]") {
  for (const Threads threads : kBoth)
    for (const bool taken_over : {false, true}) {
      CAPTURE(static_cast<int>(threads), taken_over);
      FakeClock clock;
      TestStore store;
      Told told;
      TestLock lock{store, told.options(10s), threads, "nightly"}, successor{store};
      lock.acquire();
      clock.advance(11s);
      if (taken_over) REQUIRE(successor.try_acquire());

      try {
        lock.release();
        FAIL("nothing was thrown");
      } catch (const LockLostException& e) {
        CHECK(e.code() == Errc::lost);
        CHECK(e.lock() == "nightly");
        CHECK(e.backend() == "test");
        CHECK_THAT(e.what(), says("nightly"));
      }
      CHECK(told.codes == kLost);
      CHECK_THROWS_AS(lock.release(), LockNotHeldException);
      CHECK(told.codes == kLost);
      CHECK(store.taken() == taken_over);
      CHECK(successor.held() == taken_over);
      if (taken_over) CHECK_NOTHROW(successor.release());
    }
}

TEST_CASE("a hold that the store took away is lost, though it has no expiry", "[base_lock][loss]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    Told told;
    TestLock lock{store, told.options(), threads};
    lock.acquire();
    store.free();
    store.take_by_stranger();
    CHECK_THROWS_AS(lock.release(), LockLostException);
    CHECK_THROWS_AS(lock.release(), LockNotHeldException);
    CHECK(told.codes == kLost);
    CHECK(store.taken());
  }
}

TEST_CASE("renew of a lost hold is false as often as it is asked, and tells once", "[base_lock][loss]") {
  for (const Threads threads : kBoth)
    for (const bool taken_over : {false, true}) {
      FakeClock clock;
      TestStore store;
      Told told;
      TestLock lock{store, told.options(10s), threads}, successor{store};
      lock.acquire();
      clock.advance(10s);
      if (taken_over) REQUIRE(successor.try_acquire());
      CHECK_FALSE(lock.renew());
      CHECK_FALSE(lock.renew());
      CHECK_FALSE(lock.held());
      CHECK(told.codes == kLost);
      CHECK(successor.held() == taken_over);

      CHECK_THROWS_AS(lock.release(), LockLostException);
      CHECK_THROWS_AS(lock.release(), LockNotHeldException);
      CHECK_THROWS_AS(lock.renew(), LockNotHeldException);
      CHECK(told.codes == kLost);
      if (taken_over) CHECK_NOTHROW(successor.release());
    }
}

TEST_CASE("unlock and the destructor of a lost hold tell it once, and touch no successor", "[base_lock][loss]") {
  const Threads threads = GENERATE(Threads::one_at_a_time, Threads::store_excludes);
  const bool renew_told = GENERATE(false, true), taken_over = GENERATE(false, true), by_unlock = GENERATE(false, true);
  CAPTURE(static_cast<int>(threads), renew_told, taken_over, by_unlock);
  FakeClock clock;
  TestStore store;
  Told told;
  TestLock successor{store};
  {
    TestLock lock{store, told.options(10s), threads};
    lock.acquire();
    clock.advance(11s);
    if (taken_over) REQUIRE(successor.try_acquire());
    if (renew_told) REQUIRE_FALSE(lock.renew());
    if (by_unlock) lock.unlock();
  }
  CHECK(told.codes == kLost);
  CHECK(successor.held() == taken_over);
  CHECK(store.taken() == taken_over);
}

TEST_CASE("unlock and the destructor tell of a store that fails, and throw nothing", "[base_lock][loss]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    Told told;
    store.on_release = fail;
    {
      TestLock lock{store, told.options(), threads};
      lock.acquire();
      lock.unlock();
      CHECK(told.codes == Codes{make_error_code(Errc::unavailable)});
    }
    CHECK(told.codes.size() == 1);
    store.on_release = nullptr;
    store.free();
    { TestLock{store, told.options(), threads}.acquire(); }
    CHECK(told.codes.size() == 1);
  }
}

TEST_CASE("a release that the store refused can be made again", "[base_lock][loss]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    TestStore store;
    Told told;
    TestLock lock{store, told.options(10s), threads};
    lock.acquire();
    const auto fence = lock.fence();
    store.on_release = fail;
    CHECK_THROWS_AS(lock.release(), BackendException);
    CHECK_THROWS_AS(lock.release(), BackendException);
    CHECK(lock.held());
    CHECK(lock.fence() == fence);
    CHECK(lock.renew());
    CHECK(told.codes.empty());
    store.on_release = nullptr;
    CHECK_NOTHROW(lock.release());
    CHECK_FALSE(store.taken());
  }
}

TEST_CASE("acquiring again over a hold that ran out tells of it first", "[base_lock][loss]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    TestStore store;
    Told told;
    TestLock lock{store, told.options(10s), threads};
    lock.acquire();
    clock.advance(11s);
    lock.acquire();
    CHECK(told.codes == kLost);
    CHECK(lock.held());
    clock.advance(11s);
    CHECK_FALSE(lock.renew());
    CHECK(told.codes.size() == 2);  // once for each hold
    CHECK(lock.try_acquire());
    CHECK(told.codes.size() == 2);
    lock.release();
    CHECK(told.codes.size() == 2);
  }
}

TEST_CASE("acquiring again over a hold that the store took away tells of it", "[base_lock][loss]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    Told told;
    TestLock lock{store, told.options(), threads};
    lock.acquire();
    store.free();  // the store was removed, say
    REQUIRE(lock.try_acquire());
    CHECK(told.codes == kLost);
    CHECK_NOTHROW(lock.release());
    CHECK(told.codes.size() == 1);
  }
}

TEST_CASE("a lease that was over before a slow store granted it was never held", "[base_lock][loss]") {
  FakeClock clock;
  TestStore store;
  Told told;
  TestLock lock{store, told.options(1s)};
  store.on_acquire = [&](const Claim&) { clock.advance(2s); };
  store.keep_attempts = true;
  CHECK_FALSE(lock.try_acquire());
  CHECK_FALSE(lock.held());
  CHECK_FALSE(store.taken());
  CHECK(told.codes.empty());
  CHECK_THROWS_AS(lock.release(), LockNotHeldException);
  // The store knows that owner as one who has released, and would say so again after the loss of a hold that had the same number.
  store.on_acquire = nullptr;
  REQUIRE(lock.try_acquire());
  CHECK_FALSE(store.owners_asked.front() == store.owners_asked.back());
}

TEST_CASE("a lease counts from before the store was asked", "[base_lock][loss]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    TestStore store;
    TestLock lock{store, {.expire = 10s}, threads};
    store.on_acquire = store.on_renew = [&](const Claim&) { clock.advance(4s); };
    const auto before = clock.boottime();
    REQUIRE(lock.try_acquire());
    CHECK(store.ends == before + 10s);
    clock.advance(5s);
    CHECK(lock.held());
    CHECK(lock.renew());  // at 9 s, so until 19 s, though the answer came at 13 s
    CHECK(store.ends == before + 19s);
    clock.advance(6s);
    CHECK_FALSE(lock.held());
  }
}

TEST_CASE("a renewal that comes back after the expiry it was to prolong is as the store says", "[base_lock][loss]") {
  FakeClock clock;
  TestStore store;
  TestLock lock{store, {.expire = 10s}};
  lock.acquire();
  clock.advance(9s);
  store.on_renew = [&](const Claim& claim) {
    (void)claim.now();
    clock.advance(3s);
  };
  CHECK(lock.renew());  // the store moved it before it ran out
  CHECK(lock.held());
}

TEST_CASE("what on_lost throws is dropped", "[base_lock][loss]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    TestStore store;
    int told = 0;
    const auto broken = [&](const LockException&) {
      ++told;
      throw std::runtime_error{"the callback is broken"};
    };
    TestLock lock{store, {.expire = 10s, .on_lost = broken}, threads};
    lock.acquire();
    clock.advance(11s);
    CHECK_FALSE(lock.renew());
    lock.acquire();
    clock.advance(11s);
    CHECK_THROWS_AS(lock.release(), LockLostException);
    lock.acquire();
    clock.advance(11s);
    lock.unlock();
    lock.acquire();
    clock.advance(11s);
    CHECK(lock.try_acquire());
    CHECK(told == 4);
  }
}

TEST_CASE("on_lost is told in the thread that found out", "[base_lock][loss]") {
  FakeClock clock;
  TestStore store;
  std::thread::id told;
  TestLock lock{store, {.expire = 10s, .on_lost = [&](const LockException&) { told = std::this_thread::get_id(); }}};
  lock.acquire();
  clock.advance(11s);
  std::thread::id asked;
  std::thread{[&] {
    asked = std::this_thread::get_id();
    (void)lock.renew();
  }}.join();
  CHECK(told == asked);
}

TEST_CASE("on_lost may use the lock, whatever the verb that told it", "[base_lock][loss]") {
  const Threads threads = GENERATE(Threads::one_at_a_time, Threads::store_excludes);
  FakeClock clock;
  TestStore store;
  std::optional<bool> acquired;
  std::string failure;
  TestLock* used = nullptr;
  int told = 0;
  const auto use = [&](const LockException&) {
    if (++told > 1) return;
    try {
      CHECK_FALSE(used->held());
      (void)used->locked();
      (void)used->holder();
      acquired = used->try_acquire();
    } catch (const std::exception& e) {
      failure = e.what();
    }
  };
  TestLock lock{store, {.expire = 10s, .on_lost = use}, threads};
  used = &lock;
  lock.acquire();
  clock.advance(11s);

  SECTION("renew") {
    CHECK_FALSE(lock.renew());
    CHECK(lock.held());
  }
  SECTION("release") {
    CHECK_THROWS_AS(lock.release(), LockLostException);
    CHECK(lock.held());
  }
  SECTION("unlock") {
    lock.unlock();
    CHECK(lock.held());
  }
  SECTION("try_acquire, to which the lock is busy then") {
    CHECK_FALSE(lock.try_acquire());
    CHECK(lock.held());
  }
  CHECK(failure == "");
  CHECK(acquired == true);
  CHECK(told == 1);
  CHECK_NOTHROW(lock.release());
}

TEST_CASE("on_lost may use the lock, though it is told in the middle of a wait", "[base_lock][loss]") {
  for (const Threads threads : kBoth) {
    CAPTURE(static_cast<int>(threads));
    FakeClock clock;
    TestStore store;
    std::optional<bool> acquired;
    std::string failure;
    TestLock* used = nullptr;
    const auto use = [&](const LockException&) {
      try {
        acquired = used->try_acquire();
        if (*acquired) used->release();
      } catch (const std::exception& e) {
        failure = e.what();
      }
    };
    // This object holds it, and waits for it: what another of its threads does as a rule.
    TestLock lock{store, {.expire = 1s, .timeout = 10s, .on_lost = use}, threads};
    used = &lock;
    lock.acquire();
    CHECK_NOTHROW(lock.acquire());
    CHECK(failure == "");
    CHECK(acquired == true);
    CHECK(lock.held());
  }
}
