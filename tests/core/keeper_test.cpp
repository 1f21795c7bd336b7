// SPDX-License-Identifier: MIT
// A Keeper and its one hold, on a clock that the test turns: the keeper's thread sleeps until the test has turned it far enough.
#include <sherlock/keeper.hpp>

#include <atomic>
#include <chrono>
#include <limits>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <memory>
#include <string>

#include "catch.hpp"
#include "keeper_ground.hpp"
#include "support/says.hpp"

using namespace keeper_ground;
using support::says;

TEST_CASE("a keeper renews the lease when a third of it is over, for as long as the hold lasts", "[keeper]") {
  for (const Threads threads : kBoth) {
    Ground g;
    TestLock lock{g.store, g.options(30s), threads};
    lock.acquire();
    const Keeper keeper{lock};
    REQUIRE(g.clock.asleep());
    CHECK(g.store.renews == 0);
    for (int round = 1; round <= 20; ++round) {
      REQUIRE(g.pass(9s));
      CHECK(g.store.renews == round - 1);
      REQUIRE(g.pass(1s));
      CHECK(g.store.renews == round);
      CHECK(lock.held());
    }
    CHECK_FALSE(keeper.stop_token().stop_requested());
    CHECK_NOTHROW(lock.release());
    CHECK_FALSE(g.store.taken());
    CHECK_FALSE(keeper.stop_token().stop_requested());
    CHECK(g.told == 0);
  }
}

TEST_CASE("a renewal by hand puts the keeper's off, and one that is due is made at once", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s)};
  lock.acquire();
  g.clock.advance(8s);
  CHECK(lock.renew());
  g.clock.advance(15s);
  const Keeper keeper{lock};
  REQUIRE(g.clock.asleep());
  CHECK(g.store.renews == 2);
  REQUIRE(g.pass(8s));
  CHECK(lock.renew());
  REQUIRE(g.pass(9s));
  CHECK(g.store.renews == 3);
  REQUIRE(g.pass(1s));
  CHECK(g.store.renews == 4);
}

TEST_CASE("a lease that cannot be renewed is tried until it is nearly over, and told as lost before the store ends it, once", "[keeper]") {
  for (const Threads threads : kBoth) {
    Ground g;
    TestLock lock{g.store, g.options(30s), threads, "nightly"};
    std::atomic<int> failures{0};
    g.store.on_renew = unreachable;
    lock.acquire();
    const Keeper keeper{lock, {.on_failure = [&](const LockException& e) {
                          ++failures;
                          CHECK(e.code() == Errc::unavailable);
                        }}};
    for (int second = 0; second < 28; ++second) {
      REQUIRE(g.pass(1s));
      CHECK(g.told == 0);
      CHECK(lock.held());
    }
    CHECK(g.store.renews >= 3);
    CHECK(failures == g.store.renews);
    g.clock.advance(1s);
    REQUIRE(becomes([&] { return g.told == 1; }));
    CHECK(keeper.stop_token().stop_requested());
    CHECK_FALSE(lock.held());
    CHECK(g.store.taken());
    CHECK(g.clock.boottime() < g.store.ends);
    CHECK(g.code == Errc::lost);
    CHECK_THAT(g.text, says("nightly") && says("could not be renewed") && says("the server is gone"));

    CHECK_FALSE(lock.renew());
    CHECK_THROWS_AS(lock.release(), LockLostException);
    CHECK_THROWS_AS(lock.release(), LockNotHeldException);
    CHECK(g.told == 1);
  }
}

TEST_CASE("a renewal that fails is tried again, and nobody is told of a loss when it succeeds", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s)};
  std::atomic<bool> reachable{false};
  g.store.on_renew = [&](const Claim& claim) {
    if (!reachable) unreachable(claim);
  };
  lock.acquire();
  const Keeper keeper{lock, {.on_failure = [](const LockException&) { throw std::runtime_error{"the callback is broken"}; }}};
  REQUIRE(g.clock.asleep());
  REQUIRE(g.pass(10s));
  CHECK(g.store.renews == 1);
  REQUIRE(g.pass(3s));
  CHECK(g.store.renews == 1);
  REQUIRE(g.pass(1s));
  CHECK(g.store.renews == 2);
  reachable = true;
  for (int second = 0; second < 100; ++second) REQUIRE(g.pass(1s));
  CHECK(lock.held());
  CHECK(g.told == 0);
  CHECK_NOTHROW(lock.release());
}

TEST_CASE("a hold that the store took away is told at once when the renewal says so", "[keeper]") {
  for (const Duration expire : {Duration{30s}, never}) {
    Ground g;
    TestLock lock{g.store, g.options(expire)};
    lock.acquire();
    const Keeper keeper{lock};
    REQUIRE(g.clock.asleep());
    g.store.free();
    g.store.take_by_stranger();
    g.clock.advance(10s);
    REQUIRE(becomes([&] { return g.told == 1; }));
    CHECK(keeper.stop_token().stop_requested());
    CHECK_FALSE(lock.held());
    CHECK(g.store.renews == 1);
    CHECK_THROWS_AS(lock.release(), LockLostException);
    CHECK(g.store.taken());
    CHECK(g.told == 1);
  }
}

TEST_CASE("a hold that never expires is looked after, and is not lost while its store cannot answer", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(never)};
  std::atomic<bool> reachable{true};
  g.store.on_renew = [&](const Claim& claim) {
    if (!reachable) unreachable(claim);
  };
  lock.acquire();
  const Keeper keeper{lock};
  REQUIRE(g.clock.asleep());
  for (int look = 1; look <= 3; ++look) {
    REQUIRE(g.pass(5s));
    CHECK(g.store.renews == look);
  }
  reachable = false;
  for (int second = 0; second < 1000; ++second) REQUIRE(g.pass(1s));
  CHECK(lock.held());
  CHECK(g.told == 0);
  CHECK_NOTHROW(lock.release());
}

TEST_CASE("a machine that was suspended past the lease tells so when it goes on, and asks nobody", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(10min)};
  lock.acquire();
  const Keeper keeper{lock};
  REQUIRE(g.clock.asleep());
  g.clock.suspend(1h);
  g.clock.advance(1s);  // far less than the next renewal is away
  REQUIRE(becomes([&] { return g.told == 1; }));
  CHECK(keeper.stop_token().stop_requested());
  CHECK(g.store.renews == 0);
  CHECK_THAT(g.text, says("not renewed in time"));
}

TEST_CASE("a store is given no longer for a renewal than leaves time for another one", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s, forever)};
  std::atomic<std::chrono::nanoseconds> given{};
  g.store.on_renew = [&](const Claim& claim) {
    given = claim.answer_by() - g.clock.monotonic();
    unreachable(claim);
  };
  lock.acquire();
  const Keeper keeper{lock};
  REQUIRE(g.clock.asleep());
  REQUIRE(g.pass(10s));
  CHECK(given.load() == 10s);
  REQUIRE(g.pass(16s));  // late
  CHECK(given.load() == 3s);
}

TEST_CASE("what a keeper has told as lost stays lost, though a renewal by another thread was on its way", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s)};
  lock.acquire();
  std::atomic<int> asked{0};
  g.store.on_renew = [&](const Claim& claim) {
    if (asked++ > 0) unreachable(claim);
    (void)claim.now();
    for (int second = 0; second < 29; ++second) g.clock.advance(1s), g.clock.asleep(second < 28 ? 1 : 0);
    CHECK(becomes([&] { return g.told == 1; }));
  };
  std::optional<Keeper> keeper{lock};
  REQUIRE(g.clock.asleep());
  CHECK_FALSE(lock.renew());
  CHECK_FALSE(lock.held());
  CHECK(g.told == 1);
  keeper.reset();
  CHECK_FALSE(lock.held());
  CHECK_THROWS_AS(lock.release(), LockLostException);
}

TEST_CASE("a keeper with a lifetime renews no longer than that", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s)};
  lock.acquire();
  const Keeper keeper{lock, {.lifetime = 1min}};
  REQUIRE(g.clock.asleep());
  for (int second = 0; second < 50; ++second) REQUIRE(g.pass(1s));
  CHECK(g.store.renews == 5);
  for (int second = 50; second < 78; ++second) REQUIRE(g.pass(1s));
  CHECK(g.store.renews == 5);
  CHECK(lock.held());
  g.clock.advance(1s);
  REQUIRE(becomes([&] { return g.told == 1; }));
  CHECK(keeper.stop_token().stop_requested());
  CHECK_FALSE(lock.held());
  CHECK_THAT(g.text, says("lifetime"));
}

TEST_CASE("a lifetime that makes no sense is refused, and the hold stays as it was", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s)}, endless{g.store, g.options(never), Threads::one_at_a_time, "endless"};
  lock.acquire();
  for (const Duration wrong : {Duration{0s}, Duration{-1s}, Duration{std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()}}})
    CHECK_THROWS_AS((Keeper{lock, {.lifetime = wrong}}), ConfigurationException);
  CHECK(lock.held());
  lock.release();
  endless.acquire();
  try {
    const Keeper keeper{endless, {.lifetime = 1h}};
    FAIL_CHECK("nothing was thrown");
  } catch (const ConfigurationException& e) {
    CHECK(e.lock() == "endless");
    CHECK_THAT(e.what(), says("lifetime = 1h") && says("never"));
  }
  CHECK(endless.held());
  CHECK_NOTHROW(Keeper{endless, {.lifetime = forever}});
}

TEST_CASE("what is not held cannot be kept", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s)};
  CHECK_THROWS_AS(Keeper{lock}, LockNotHeldException);
  lock.acquire();
  lock.release();
  CHECK_THROWS_AS(Keeper{lock}, LockNotHeldException);
  lock.acquire();
  g.clock.advance(30s);
  CHECK_THROWS_AS(Keeper{lock}, LockNotHeldException);
  CHECK_FALSE(lock.renew());
  CHECK_THROWS_AS(Keeper{lock}, LockNotHeldException);
}

TEST_CASE("a hold has one keeper at a time", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s)};
  lock.acquire();
  {
    const Keeper keeper{lock};
    CHECK_THROWS_AS(Keeper{lock}, ConfigurationException);
    REQUIRE(g.clock.asleep());
    REQUIRE(g.pass(10s));
    CHECK(g.store.renews == 1);
  }
  const Keeper next{lock};
  REQUIRE(g.clock.asleep());
  REQUIRE(g.pass(10s));
  CHECK(g.store.renews == 2);
}

TEST_CASE("a keeper is bound to its hold, not to the lock's next one", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s)};
  lock.acquire();
  const Keeper first{lock};
  lock.release();
  lock.acquire();
  const Keeper second{lock};
  REQUIRE(g.clock.asleep());
  REQUIRE(g.pass(10s));
  CHECK(g.store.renews == 1);
  lock.release();
  lock.acquire();
  REQUIRE(g.clock.asleep(0));
  g.clock.advance(30s);
  CHECK_FALSE(lock.held());
  CHECK(g.store.renews == 1);
}

TEST_CASE("whoever of the object's threads finds the loss, the keeper's token is told", "[keeper]") {
  Ground g;
  TestLock lock{g.store, g.options(30s)};
  lock.acquire();
  const Keeper keeper{lock};
  REQUIRE(g.clock.asleep());
  SECTION("by a renewal") {
    g.store.free();
    CHECK_FALSE(lock.renew());
  }
  SECTION("by acquiring over it") {
    g.store.free();
    CHECK(lock.try_acquire());
    CHECK(lock.held());
  }
  SECTION("by a release") {
    g.store.free();
    CHECK_THROWS_AS(lock.release(), LockLostException);
  }
  CHECK(keeper.stop_token().stop_requested());
  CHECK(g.told == 1);
}

TEST_CASE("a loss that only the lock's end finds is told to the keeper's token, too", "[keeper]") {
  Ground g;
  auto lock = std::make_unique<TestLock>(g.store, g.options(30s));
  lock->acquire();
  const Keeper keeper{*lock};
  REQUIRE(g.clock.asleep());
  g.store.free();
  lock.reset();
  CHECK(g.told == 1);
  CHECK(keeper.stop_token().stop_requested());
}
