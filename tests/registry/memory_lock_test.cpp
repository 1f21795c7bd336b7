// SPDX-License-Identifier: MIT
// docs/examples/memory_lock.hpp is what people copy when they write a backend: it keeps what it promises, through Lock and without.
#include "../../docs/examples/memory_lock.hpp"

#include <atomic>
#include <functional>
#include <thread>

#include <sherlock/lock.hpp>

#include "catch.hpp"
#include "support/fake_clock.hpp"

using namespace sherlock;
using namespace std::chrono_literals;
using example::MemoryLock, example::MemoryStore;

namespace {

// Tests say how they want their locks made: by the class itself, or through a Lock.
using Make = std::function<std::unique_ptr<BaseLock>(std::string, Options)>;

Make by_class() {
  return [store = std::make_shared<MemoryStore>()](std::string name, Options options) {
    return std::make_unique<MemoryLock>(std::move(name), std::move(options), store);
  };
}

Make through_lock() {
  auto registry = std::make_shared<Registry>();
  registry->add(backend<MemoryLock>({.name = "memory"}));
  registry->configure({.backend = "memory", .client = std::make_shared<MemoryStore>()});
  return [registry](std::string name, Options options) { return std::make_unique<Lock>(std::move(name), std::move(options), *registry); };
}

// Returns when somebody waits for the lock.
void await_waiter(const BaseLock& lock) {
  while (lock.holder()->waiting == 0u) std::this_thread::yield();
}

}  // namespace

TEST_CASE("in memory, threads with an object each never overlap", "[memory][threads]") {
  const Make make = GENERATE(by_class(), through_lock());
  int counted = 0;  // without the lock this is a data race, and TSan says so
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      const auto lock = make("counter", {.timeout = forever});
      for (int n = 0; n < 500; ++n) {
        const std::scoped_lock hold{*lock};
        ++counted;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(counted == 2000);
}

TEST_CASE("in memory, threads that share one object exclude each other", "[memory][threads]") {
  const Make make = GENERATE(by_class(), through_lock());
  const auto lock = make("counter", {.timeout = forever});
  int counted = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 500; ++n) {
        const std::scoped_lock hold{*lock};
        ++counted;
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(counted == 2000);
}

TEST_CASE("in memory, a release wakes a waiter that would not look again for an hour", "[memory][threads]") {
  const Make make = GENERATE(by_class(), through_lock());
  const auto holder = make("lock", {}), waiter = make("lock", {.timeout = forever, .retry_interval = 1h});
  holder->acquire();
  std::thread waiting{[&] { waiter->acquire(); }};
  await_waiter(*holder);
  holder->release();
  waiting.join();
  CHECK(waiter->held());
}

TEST_CASE("in memory, the end of a lease wakes a waiter, and tells it", "[memory][threads]") {
  const Make make = GENERATE(by_class(), through_lock());
  const auto holder = make("lock", {.expire = 20ms}), waiter = make("lock", {.timeout = forever, .retry_interval = 1h});
  waiter->acquire();
  const std::uint64_t before = waiter->fence();
  waiter->release();
  holder->acquire();
  waiter->acquire();
  CHECK(waiter->abandoned());
  CHECK(waiter->fence() == before + 2);
  CHECK_THROWS_AS(holder->release(), LockLostException);
  CHECK(waiter->held());
  CHECK(waiter->locked());
}

TEST_CASE("in memory, a stop ends a wait", "[memory][threads]") {
  const Make make = GENERATE(by_class(), through_lock());
  const auto holder = make("lock", {}), waiter = make("lock", {.timeout = forever, .retry_interval = 1h});
  holder->acquire();
  std::stop_source stop;
  std::thread stopper{[&] {
    await_waiter(*holder);
    stop.request_stop();
  }};
  CHECK_THROWS_AS(waiter->acquire(stop.get_token()), LockCancelledException);
  stopper.join();
  CHECK(holder->holder()->waiting == 0u);
}

TEST_CASE("in memory, a lease ends, is renewed while it lasts, and not afterwards", "[memory]") {
  support::FakeClock clock;
  const Make make = GENERATE(by_class(), through_lock());
  const auto lock = make("lock", {.expire = 10s}), other = make("lock", {});
  lock->acquire();
  clock.advance(9s);
  CHECK(lock->renew());
  clock.advance(9s);
  CHECK(lock->held());
  CHECK(!other->try_acquire());
  clock.suspend(1s);
  CHECK(!lock->held());
  CHECK(!lock->locked());
  CHECK(!lock->renew());
  CHECK(other->try_acquire());
  CHECK(other->abandoned());
}

TEST_CASE("in memory, never means never", "[memory]") {
  support::FakeClock clock;
  const auto make = by_class();
  const auto lock = make("lock", {}), other = make("lock", {});
  CHECK(lock->expire() == never);
  lock->acquire();
  clock.advance(24h * 365 * 100);
  CHECK(lock->held());
  CHECK(!other->try_acquire());
  lock->release();
  CHECK(other->try_acquire());
  CHECK(!other->abandoned());
}

TEST_CASE("in memory, only the owner releases", "[memory]") {
  support::FakeClock clock;
  const auto make = by_class();
  const auto first = make("lock", {.expire = 10s}), second = make("lock", {});
  first->acquire();
  clock.advance(10s);
  REQUIRE(second->try_acquire());
  CHECK_THROWS_AS(first->release(), LockLostException);
  CHECK(second->held());
  CHECK(second->locked());
  CHECK(!first->try_acquire());
}

TEST_CASE("in memory, fences grow, whatever the wall clock does", "[memory]") {
  support::FakeClock clock;
  const auto make = by_class();
  const auto lock = make("lock", {.expire = 10s}), other = make("lock", {});
  lock->acquire();
  const std::uint64_t first = lock->fence();
  CHECK(first >= static_cast<std::uint64_t>(clock.wall().time_since_epoch() / 1ns));  // beyond those of a store that is gone
  lock->release();
  clock.step_wall(-1h);
  lock->acquire();
  CHECK(lock->fence() == first + 1);
  clock.advance(10s);
  other->acquire();
  CHECK(other->fence() == first + 2);
}

TEST_CASE("in memory, a lock shows its holder, and list shows what was ever taken", "[memory]") {
  support::FakeClock clock;
  const auto store = std::make_shared<MemoryStore>();
  MemoryLock lock{"lock", {.ns = "shop", .expire = 10s, .label = "by hand"}, store};
  CHECK(!lock.holder());
  CHECK(MemoryLock::list(store).empty());

  lock.acquire();
  const auto holder = lock.holder();
  REQUIRE(holder);
  CHECK(holder->pid == getpid());
  CHECK(holder->label == "by hand");
  CHECK(holder->since == clock.wall());
  CHECK(holder->expiry == clock.wall() + 10s);
  CHECK(holder->fence == lock.fence());
  CHECK(holder->waiting == 0u);

  lock.release();
  CHECK(!lock.holder());
  const auto listed = MemoryLock::list(store);
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].name == "lock");
  CHECK(listed[0].ns == "shop");
  CHECK(listed[0].key == lock.key());
  CHECK(!listed[0].holder);
}

TEST_CASE("in memory, the same text is the same store, and another text another", "[memory]") {
  MemoryLock one{"lock", {}, MemoryLock::connect("memory-test")}, same{"lock", {}, MemoryLock::connect("memory-test")};
  MemoryLock other{"lock", {}, MemoryLock::connect("memory-test-2")}, fresh{"lock", {}, std::make_shared<MemoryStore>()};
  one.acquire();
  CHECK(!same.try_acquire());
  CHECK(other.try_acquire());
  CHECK(fresh.try_acquire());
}
