// SPDX-License-Identifier: MIT
#include <sherlock/lock.hpp>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <type_traits>

#include "catch.hpp"
#include "registry/spy_lock.hpp"
#include "support/fake_clock.hpp"

using namespace sherlock;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Calls = std::vector<std::string>;

// A lock class without its hooks cannot be made at all; sherlock's NotImplementedError comes at compile time.
static_assert(std::is_abstract_v<BaseLock>);
static_assert(!std::is_copy_constructible_v<Lock> && !std::is_move_constructible_v<Lock>);
// The client of a Lock is the configured one.
static_assert(!std::is_constructible_v<Lock, std::string, Options, SpyClient>);
static_assert(!std::is_constructible_v<Lock, std::string, Options, const char*>);

namespace {

struct Configured {
  Configured() {
    registry.add(backend<SpyLock>({.name = "spy"}));
    registry.configure({.backend = "spy", .client = client});
  }
  Calls& calls() { return client.spy->calls; }
  // Somebody else gets the lock, behind our back.
  void take() {
    client.spy->free = false;
    client.spy->owner.reset();
  }

  Registry registry;
  SpyClient client;
};

}  // namespace

TEST_CASE("a Lock without a configured backend is refused, and says what to do", "[lock]") {
  Registry registry;
  registry.add(backend<SpyLock>({.name = "spy"}));
  CHECK_THROWS_AS((Lock{"orders", {}, registry}), ConfigurationException);
  CHECK_THROWS_WITH((Lock{"orders", {}, registry}),
                    Contains("no backend is configured") && Contains("configure({.backend = ") && Contains("spy"));
}

TEST_CASE("a Lock is of the configured backend, with the configured client", "[lock]") {
  Configured configured;
  const Lock lock{"orders", {}, configured.registry};
  CHECK(lock.backend() == "spy");
  CHECK(!lock.locked());
  CHECK(configured.calls() == Calls{"locked orders"});

  SECTION("and stays it when another is configured later") {
    configured.registry.configure({.backend = "spy", .client = "elsewhere", .ns = "later"});
    CHECK(!lock.locked());
    CHECK(configured.calls().size() == 2);
    CHECK(lock.ns().empty());
  }
}

TEST_CASE("an option of a Lock comes from the lock, else configure, else the trait, else the library", "[lock]") {
  Configured configured;
  const Lock plain{"orders", {}, configured.registry};
  CHECK(plain.ns().empty());
  CHECK(plain.expire() == Duration{42s});
  CHECK(plain.timeout() == Duration{10s});
  CHECK(plain.retry_interval() == Duration{100ms});

  configured.registry.configure({.ns = "shop", .expire = never, .timeout = 1s, .retry_interval = 2s, .label = "nightly"});
  const Lock from_configure{"orders", {}, configured.registry};
  CHECK(from_configure.ns() == "shop");
  CHECK(from_configure.expire() == never);
  CHECK(from_configure.timeout() == Duration{1s});
  CHECK(from_configure.retry_interval() == Duration{2s});
  CHECK(from_configure.label() == "nightly");

  const Lock own{"orders", {.ns = "", .expire = 5s, .timeout = forever, .retry_interval = 6s, .label = "by hand"}, configured.registry};
  CHECK(own.ns().empty());
  CHECK(own.expire() == Duration{5s});
  CHECK(own.timeout() == forever);
  CHECK(own.retry_interval() == Duration{6s});
  CHECK(own.label() == "by hand");
}

TEST_CASE("a Lock and its backend's own class mean the same lock by a name", "[lock]") {
  Configured configured;
  const Lock through{"orders", {.ns = "shop"}, configured.registry};
  const SpyLock own{"orders", {.ns = "shop"}, configured.client};
  CHECK(through.name() == "orders");
  CHECK(through.key() == own.key());
  CHECK(through.key() != Lock("orders", {.ns = "other"}, configured.registry).key());

  configured.registry.configure({.ns = "shop"});
  CHECK(Lock("orders", {}, configured.registry).key() == own.key());
}

TEST_CASE("every verb of a Lock reaches its backend, once, and the hold is the Lock's own", "[lock]") {
  Configured configured;
  {
    Lock lock{"orders", {.label = "by hand"}, configured.registry};
    lock.acquire();
    CHECK(lock.held());
    CHECK(lock.fence() == 7);
    CHECK(!lock.abandoned());
    CHECK(lock.locked());
    CHECK(lock.holder()->label == "by hand");
    CHECK(lock.renew());
    CHECK(lock.inheritable() == std::vector<int>{3});
    lock.release();
    CHECK(!lock.held());
    CHECK(lock.try_acquire());
  }
  // The last release is the destructor's, and the inner lock, which held nothing, has none of its own.
  CHECK(configured.calls() == Calls{"acquire orders", "locked orders", "holder orders", "renew orders", "inheritable orders",
                                    "release orders", "acquire orders", "release orders"});
}

TEST_CASE("a Lock that holds nothing lets go of nothing", "[lock]") {
  Configured configured;
  {
    Lock lock{"orders", {}, configured.registry};
    lock.unlock();
    CHECK_THROWS_AS(lock.release(), LockNotHeldException);
    CHECK_THROWS_AS(lock.renew(), LockNotHeldException);
  }
  CHECK(configured.calls().empty());
}

TEST_CASE("a Lock tries at once, each retry_interval, and at its deadline, then says who has it", "[lock]") {
  const support::FakeClock clock;
  Configured configured;
  configured.take();
  configured.client.spy->label = "full dump";
  Lock lock{"orders", {.timeout = 500ms, .retry_interval = 100ms}, configured.registry};

  const auto start = clock.monotonic();
  CHECK_THROWS_WITH(lock.acquire(), Contains("orders") && Contains("500ms") && Contains("full dump"));
  CHECK(clock.monotonic() - start == 500ms);
  CHECK(std::count(configured.calls().begin(), configured.calls().end(), "acquire orders") == 6);

  CHECK_THROWS_AS(lock.acquire(), LockTimeoutException);
  CHECK(!lock.try_acquire());
}

TEST_CASE("a hold that a Lock lost is told to the configured on_lost, once", "[lock]") {
  Configured configured;
  int told = 0;
  configured.registry.configure({.on_lost = [&](const LockException& what) {
    CHECK(what.lock() == "orders");
    CHECK(what.code() == Errc::lost);
    ++told;
  }});
  Lock lock{"orders", {}, configured.registry};
  lock.acquire();
  configured.take();
  CHECK(!lock.renew());
  CHECK_THROWS_AS(lock.release(), LockLostException);
  CHECK(told == 1);
}

TEST_CASE("a failing backend is a BackendException that names lock and backend, and may be asked again", "[lock]") {
  Configured configured;
  Lock lock{"orders", {}, configured.registry};
  configured.client.spy->answers = false;
  CHECK_THROWS_AS(lock.try_acquire(), BackendException);
  CHECK_THROWS_AS(lock.acquire(), BackendException);
  CHECK_THROWS_AS(lock.locked(), BackendException);
  try {
    static_cast<void>(lock.try_acquire());
    FAIL("a deaf store granted something");
  } catch (const BackendException& e) {
    CHECK(e.lock() == "orders");
    CHECK(e.backend() == "spy");
    CHECK_THAT(e.what(), Contains("the spy is deaf"));
  }
  configured.client.spy->answers = true;
  CHECK(lock.try_acquire());
}

TEST_CASE("a Lock's name and options are checked when it is made, and named", "[lock]") {
  Configured configured;
  CHECK_THROWS_AS((Lock{"", {}, configured.registry}), ConfigurationException);
  CHECK_THROWS_WITH((Lock{"", {}, configured.registry}), Contains("name"));
  CHECK_THROWS_WITH((Lock{std::string(1025, 'x'), {}, configured.registry}), Contains("1025"));
  CHECK_THROWS_WITH((Lock{"orders", {.timeout = -1s}, configured.registry}), Contains("timeout") && Contains("orders"));
  CHECK_NOTHROW(Lock{std::string("../a\0b", 6), {}, configured.registry});
}

TEST_CASE("a Lock serves the standard's guards", "[lock]") {
  Configured configured;
  Lock lock{"orders", {}, configured.registry};
  {
    const std::unique_lock hold{lock};
    CHECK(lock.held());
    CHECK(!std::unique_lock{lock, std::try_to_lock});
    CHECK(!std::unique_lock{lock, 0s});
  }
  CHECK(!lock.held());
  CHECK_THROWS_AS(
      [&] {
        const std::scoped_lock hold{lock};
        throw std::out_of_range{"on the way out"};
      }(),
      std::out_of_range);
  CHECK(!lock.held());
}
