// SPDX-License-Identifier: MIT
// Every lock is what the standard calls a TimedLockable.
#include <sherlock/sherlock.hpp>

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "catch.hpp"
#include "support/fake_clock.hpp"
#include "test_lock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;

namespace {

template <class L>
concept BasicLockable = requires(L& lock) {
  lock.lock();
  lock.unlock();
};
template <class L>
concept Lockable = BasicLockable<L> && requires(L& lock) {
  { lock.try_lock() } -> std::same_as<bool>;
};
template <class L>
concept TimedLockable = Lockable<L> && requires(L& lock) {
  { lock.try_lock_for(1s) } -> std::same_as<bool>;
  { lock.try_lock_for(std::chrono::duration<double, std::milli>{0.5}) } -> std::same_as<bool>;
  { lock.try_lock_for(std::chrono::years{1}) } -> std::same_as<bool>;
  { lock.try_lock_until(std::chrono::steady_clock::time_point{}) } -> std::same_as<bool>;
  { lock.try_lock_until(std::chrono::system_clock::time_point{}) } -> std::same_as<bool>;
  { lock.try_lock_until(std::chrono::sys_days{}) } -> std::same_as<bool>;
};

}  // namespace

static_assert(TimedLockable<std::timed_mutex>, "the concept itself is right");
static_assert(TimedLockable<BaseLock> && TimedLockable<Lock> && TimedLockable<FileLock> && TimedLockable<TestLock>);
static_assert(noexcept(std::declval<BaseLock&>().unlock()) && noexcept(std::declval<const BaseLock&>().held()));

template <class L>
constexpr bool kStaysWhereItIs =
    !std::is_copy_constructible_v<L> && !std::is_copy_assignable_v<L> && !std::is_move_constructible_v<L> && !std::is_move_assignable_v<L>;
static_assert(kStaysWhereItIs<BaseLock> && kStaysWhereItIs<Lock> && kStaysWhereItIs<FileLock> && kStaysWhereItIs<TestLock>);
static_assert(std::is_abstract_v<BaseLock> && std::has_virtual_destructor_v<BaseLock>);

TEST_CASE("std::unique_lock holds, tries, waits and lets go", "[lockable]") {
  const support::FakeClock clock;
  TestStore store;
  TestLock lock{store, {.timeout = 1s}}, other{store};
  {
    std::unique_lock hold{lock};
    CHECK(hold.owns_lock());
    CHECK(lock.held());
    CHECK_FALSE(std::unique_lock{other, std::try_to_lock}.owns_lock());
    CHECK_FALSE(std::unique_lock{other, 250ms}.owns_lock());
    CHECK_FALSE(std::unique_lock{other, std::chrono::steady_clock::now()}.owns_lock());
    hold.unlock();
    CHECK(std::unique_lock{other, std::try_to_lock}.owns_lock());
    CHECK(hold.try_lock_for(1s));
    std::unique_lock moved{std::move(hold)};
    CHECK(moved.owns_lock());
  }
  CHECK_FALSE(store.taken());
  std::unique_lock later{lock, std::defer_lock};
  CHECK_FALSE(lock.held());
  later.lock();
  CHECK(std::unique_lock{lock, std::adopt_lock}.owns_lock());
  CHECK_FALSE(lock.held());
  later.release();
}

TEST_CASE("std::unique_lock of a lock that somebody has throws our exception, a std::system_error", "[lockable]") {
  const support::FakeClock clock;
  TestStore store;
  store.take_by_stranger();
  TestLock lock{store, {.timeout = 1s}};
  CHECK_THROWS_AS(std::unique_lock{lock}, LockTimeoutException);
  CHECK_THROWS_AS(std::lock_guard{lock}, std::system_error);
}

TEST_CASE("std::lock_guard lets go when a scope is left by an exception", "[lockable]") {
  TestStore store;
  TestLock lock{store};
  CHECK_THROWS_AS(std::invoke([&] {
                    const std::lock_guard hold{lock};
                    CHECK(store.taken());
                    throw std::runtime_error{"the work failed"};
                  }),
                  std::runtime_error);
  CHECK_FALSE(store.taken());
}

TEST_CASE("std::scoped_lock holds two locks, of different stores, or none", "[lockable]") {
  const support::FakeClock clock;
  TestStore a, b;
  TestLock first{a, {.timeout = 1s}}, second{b, {.timeout = 1s}, TestLock::Threads::store_excludes};
  {
    const std::scoped_lock both{first, second};
    CHECK(a.taken());
    CHECK(b.taken());
  }
  CHECK_FALSE(a.taken());
  CHECK_FALSE(b.taken());

  b.on_acquire = [](const Claim&) { throw std::runtime_error{"gone"}; };
  CHECK_THROWS_AS((std::scoped_lock{first, second}), BackendException);
  CHECK_FALSE(a.taken());
}

TEST_CASE("std::try_lock says which one was busy, and keeps none", "[lockable]") {
  TestStore a, b;
  b.take_by_stranger();
  TestLock first{a}, second{b};
  CHECK(std::try_lock(first, second) == 1);
  CHECK_FALSE(a.taken());
}
