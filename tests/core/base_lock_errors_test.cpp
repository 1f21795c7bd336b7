// SPDX-License-Identifier: MIT
// What exceptions say, to programs and to people.
#include <sherlock/base_lock.hpp>

#include <cerrno>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

#include "catch.hpp"
#include "core/failure.hpp"
#include "support/fake_clock.hpp"
#include "support/says.hpp"
#include "test_lock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::FakeClock;
using support::says;
using Threads = TestLock::Threads;

namespace {

template <class Exception, class Call>
Exception thrown_by(Call call) {
  try {
    call();
  } catch (const Exception& e) {
    return e;
  }
  throw std::logic_error{"nothing was thrown"};
}

}  // namespace

TEST_CASE("what a hook throws becomes a BackendException that names the lock, the backend and the cause", "[base_lock]") {
  TestStore store;
  TestLock lock{store, {}, Threads::one_at_a_time, "nightly"};
  const auto failing_with = [&](auto what) {
    store.on_acquire = [what](const Claim&) { throw what; };
    return thrown_by<BackendException>([&] { (void)lock.try_acquire(); });
  };

  const auto full = failing_with(std::system_error{ENOSPC, std::generic_category(), "cannot write /x"});
  CHECK(full.code() == Errc::system);
  CHECK(full.cause() == std::errc::no_space_on_device);
  CHECK(full.lock() == "nightly");
  CHECK(full.backend() == "test");
  CHECK_THAT(full.what(), says("nightly") && says("test") && says("/x"));

  CHECK(failing_with(std::runtime_error{"no answer"}).code() == Errc::unavailable);
  CHECK_THAT(failing_with(std::runtime_error{"no answer"}).what(), says("no answer"));
  CHECK(failing_with(std::bad_alloc{}).code() == Errc::system);
  CHECK(failing_with(42).code() == Errc::unavailable);
  CHECK(failing_with(detail::Failure{Errc::damaged, "not ours"}).code() == Errc::damaged);
}

TEST_CASE("a LockException that a hook throws passes as it is", "[base_lock]") {
  TestStore store;
  TestLock lock{store};
  store.on_acquire = [](const Claim&) { throw BackendException{Errc::busy, "the server is slow", "x", "es"}; };
  const auto thrown = thrown_by<BackendException>([&] { (void)lock.try_acquire(); });
  CHECK(thrown.code() == Errc::busy);
  CHECK(thrown.backend() == "es");
  CHECK(std::string{thrown.what()} == "the server is slow");
}

TEST_CASE("exceptions carry what a program needs to tell them apart", "[base_lock]") {
  const FakeClock clock;
  TestStore store;
  TestLock lock{store, {.timeout = 0s}, Threads::one_at_a_time, "nightly"};
  const auto not_held = thrown_by<LockNotHeldException>([&] { lock.release(); });
  CHECK(not_held.code() == Errc::not_held);
  CHECK(not_held.lock() == "nightly");
  CHECK(not_held.backend() == "test");
  CHECK_FALSE(not_held.cause());
  CHECK_THAT(not_held.what(), says("nightly") && says("release"));

  store.take_by_stranger();
  const auto timeout = thrown_by<LockTimeoutException>([&] { lock.acquire(); });
  CHECK(timeout.code() == Errc::timeout);
  CHECK(timeout.lock() == "nightly");
  CHECK(timeout.backend() == "test");
  const std::system_error& as_system_error = timeout;
  CHECK(as_system_error.code().category() == lock_category());
}

TEST_CASE("a timeout says who holds the lock, since when, and how long the wait was", "[base_lock]") {
  const FakeClock clock;
  TestStore store;
  store.take_by_stranger({.pid = 4242,
                          .uid = 1000,
                          .program = "backup.sh",
                          .label = "nightly backup of /home",
                          .since = std::chrono::sys_days{std::chrono::year{2026} / 1 / 1} + 20h});
  TestLock lock{store, {.timeout = 2500ms}};
  CHECK_THROWS_WITH(lock.acquire(),
                    says("2.5s") && says("4242") && says("backup.sh") && says("nightly backup of /home") && says("2026-01-01T20:00:00Z"));
}

TEST_CASE("a timeout is a timeout, even where the store cannot tell who holds the lock", "[base_lock]") {
  const FakeClock clock;
  TestStore store;
  store.take_by_stranger();
  TestLock lock{store, {.timeout = 1s}};
  SECTION("it fails") {
    store.on_look = [](const Claim&) { throw std::runtime_error{"no answer"}; };
  }
  SECTION("it throws something that is no std::exception") {
    store.on_look = [](const Claim&) { throw 42; };
  }
  SECTION("the lock has come free meanwhile") {
    store.on_look = [&](const Claim&) { store.free(); };
  }
  CHECK_THROWS_AS(lock.acquire(), LockTimeoutException);
}

TEST_CASE("control bytes in a name or a label do not reach the terminal", "[base_lock]") {
  const FakeClock clock;
  TestStore store;
  store.take_by_stranger({.label = "\x1b[31mred"});
  TestLock lock{store, {.timeout = 0s}, Threads::one_at_a_time, "a\nb"};
  const auto timeout = thrown_by<LockTimeoutException>([&] { lock.acquire(); });
  CHECK(std::string{timeout.what()}.find_first_of("\x1b\n") == std::string::npos);
  CHECK(timeout.lock() == "a\nb");
}
