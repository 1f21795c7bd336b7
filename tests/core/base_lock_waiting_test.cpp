// SPDX-License-Identifier: MIT
// When a lock tries, when it sleeps and when it gives up. On a clock that the test turns, so to the nanosecond.
#include <sherlock/base_lock.hpp>

#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "catch.hpp"
#include "support/fake_clock.hpp"
#include "test_lock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using std::chrono::nanoseconds;
using support::FakeClock;
using Threads = TestLock::Threads;

namespace {

using Attempts = std::vector<Attempt>;

// A store that a stranger holds, and that keeps when it was tried and why.
struct Watched : TestStore {
  explicit Watched(const FakeClock& clock) {
    keep_attempts = true;
    take_by_stranger();
    on_acquire = [this, &clock, start = clock.monotonic()](const Claim&) { tries.push_back(clock.monotonic() - start); };
  }
  std::vector<nanoseconds> tries;
};

// A clock of a program's own, for try_acquire_until; it goes with the library's, and can be set.
struct OwnClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = nanoseconds;
  using time_point = std::chrono::time_point<OwnClock>;
  static inline nanoseconds offset{};
  static time_point now() { return time_point{sherlock::clock().monotonic() + offset}; }
};

// What a backend is that says nothing of waiting.
class BusyLock final : public BaseLock {
 public:
  explicit BusyLock(Options options) : BaseLock{"x", std::move(options)} {}
  ~BusyLock() override { let_go(); }
  int tries = 0;

 private:
  std::optional<Grant> do_acquire(const Claim&) override { return ++tries, std::nullopt; }
  bool do_release(const Claim&) override { return false; }
  bool do_renew(const Claim&) override { return false; }
  bool do_locked(const Claim&) const override { return true; }
  std::optional<Holder> do_holder(const Claim&) const override { return Holder{}; }
};

}  // namespace

TEST_CASE("a backend that cannot wait is asked each retry_interval", "[base_lock][waiting]") {
  const FakeClock clock;
  BusyLock lock{{.retry_interval = 100ms}};
  const auto before = clock.monotonic();
  CHECK_FALSE(lock.try_acquire_for(250ms));
  CHECK(clock.monotonic() - before == 250ms);
  CHECK(lock.tries == 4);
}

TEST_CASE("a waiter tries at once, then each retry_interval, and the last time at the deadline", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    const FakeClock clock;
    Watched store{clock};
    TestLock lock{store, {.timeout = 250ms, .retry_interval = 100ms}, threads};
    CHECK_THROWS_AS(lock.acquire(), LockTimeoutException);
    CHECK(store.tries == std::vector<nanoseconds>{0ms, 100ms, 200ms, 250ms});
    CHECK(store.attempts == Attempts{Attempt::first, Attempt::waiting, Attempt::waiting, Attempt::last});
    CHECK(clock.sleeps() == 3);
  }
}

TEST_CASE("the wait is the lock's timeout, or the one that is given", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    const FakeClock clock;
    TestStore store;
    store.take_by_stranger();
    TestLock lock{store, {.timeout = 3s}, threads};
    auto before = clock.monotonic();
    CHECK_THROWS_AS(lock.acquire(), LockTimeoutException);
    CHECK(clock.monotonic() - before == 3s);

    before = clock.monotonic();
    CHECK_FALSE(lock.try_lock_for(std::chrono::duration<double>{0.5}));
    CHECK(clock.monotonic() - before == 500ms);

    for (const nanoseconds timeout : {nanoseconds{1ns}, nanoseconds{700ms}, nanoseconds{100s}}) {
      before = clock.monotonic();
      CHECK_FALSE(lock.try_acquire_for(timeout));
      CHECK(clock.monotonic() - before == timeout);
    }
  }
}

TEST_CASE("no time to wait is one try", "[base_lock][waiting]") {
  const Threads threads = GENERATE(Threads::one_at_a_time, Threads::store_excludes);
  const FakeClock clock;
  Watched store{clock};
  TestLock lock{store, {.timeout = 0s}, threads};
  SECTION("a timeout of 0") { CHECK_THROWS_AS(lock.acquire(), LockTimeoutException); }
  SECTION("try_acquire_for(0)") { CHECK_FALSE(lock.try_acquire_for(0s)); }
  SECTION("a negative duration") { CHECK_FALSE(lock.try_acquire_for(-1s)); }
  SECTION("the most negative duration") { CHECK_FALSE(lock.try_lock_for(nanoseconds::min())); }
  SECTION("no number") { CHECK_FALSE(lock.try_acquire_for(std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()})); }
  SECTION("now") { CHECK_FALSE(lock.try_acquire_until(OwnClock::now())); }
  SECTION("an instant that has passed") { CHECK_FALSE(lock.try_lock_until(OwnClock::now() - 1ns)); }
  SECTION("an instant that has passed, of the system's clock") { CHECK_FALSE(lock.try_lock_until(std::chrono::system_clock::now() - 1s)); }
  SECTION("an instant that has passed, of the steady clock") { CHECK_FALSE(lock.try_acquire_until(std::chrono::steady_clock::now() - 1s)); }
  CHECK(store.tries.size() == 1);
  CHECK(store.attempts == Attempts{Attempt::once});
  CHECK(clock.sleeps() == 0);
}

TEST_CASE("the first instant there is has passed", "[base_lock][waiting]") {
  const FakeClock clock;
  TestStore store;
  store.take_by_stranger();
  TestLock lock{store};
  bool granted = true;
  CHECK_NOTHROW(granted = lock.try_acquire_until(std::chrono::system_clock::time_point::min()));
  CHECK_FALSE(granted);
  CHECK(store.acquires == 1);
}

TEST_CASE("an instant that is no number is one try", "[base_lock][waiting]") {
  using Instant = std::chrono::time_point<std::chrono::system_clock, std::chrono::duration<double>>;
  const FakeClock clock;
  TestStore store;
  store.take_by_stranger();
  store.on_acquire = [&](const Claim&) {
    if (store.acquires > 10) throw std::logic_error{"it tries again and again"};
  };
  TestLock lock{store};
  bool granted = true;
  CHECK_NOTHROW(granted = lock.try_acquire_until(Instant{std::chrono::duration<double>{std::numeric_limits<double>::quiet_NaN()}}));
  CHECK_FALSE(granted);
  CHECK(store.acquires == 1);
}

TEST_CASE("an instant is waited for on its own clock", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    Watched store{clock};
    TestLock lock{store, {}, threads};
    OwnClock::offset = -20h;
    CHECK_FALSE(lock.try_acquire_until(OwnClock::now() + 250ms));
    CHECK(store.tries.back() == 250ms);
  }
}

TEST_CASE("an instant of the standard's clocks is waited for, and not less", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    store.take_by_stranger();
    TestLock lock{store, {.retry_interval = 2ms}, threads};
    const auto steady = std::chrono::steady_clock::now() + 10ms;
    CHECK_FALSE(lock.try_acquire_until(steady));
    CHECK(std::chrono::steady_clock::now() >= steady);
    const auto system = std::chrono::system_clock::now() + 10ms;
    CHECK_FALSE(lock.try_lock_until(system));
    CHECK(std::chrono::system_clock::now() >= system);
    store.free();
    CHECK(lock.try_acquire_until(std::chrono::system_clock::now() + 1h));
  }
}

TEST_CASE("an instant of a clock that is set back has not come yet", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    Watched store{clock};
    TestLock lock{store, {}, threads};
    OwnClock::offset = 0s;
    int sleeps = 0;
    clock.meanwhile([&] {
      if (++sleeps == 1) OwnClock::offset = -1s;
    });
    const auto deadline = OwnClock::now() + 100ms;
    CHECK_FALSE(lock.try_lock_until(deadline));
    CHECK(OwnClock::now() >= deadline);
    CHECK(store.tries.back() == 1100ms);
  }
}

TEST_CASE("the last instant there is, is for ever", "[base_lock][waiting]") {
  FakeClock clock;
  Watched store{clock};
  TestLock lock{store};
  clock.meanwhile([&] {
    if (store.tries.size() == 5) store.free();
  });
  CHECK(lock.try_acquire_until(std::chrono::system_clock::time_point::max()));
  lock.release();
  store.take_by_stranger();
  store.tries.clear();
  CHECK(lock.try_acquire_until(std::chrono::time_point<std::chrono::system_clock, std::chrono::duration<double>>{
      std::chrono::duration<double>{std::numeric_limits<double>::infinity()}}));
}

TEST_CASE("forever is as long as it takes", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    Watched store{clock};
    TestLock lock{store, {.timeout = forever, .retry_interval = 1h}, threads};
    clock.meanwhile([&] {
      if (store.tries.size() == 1000) store.free();
    });
    lock.acquire();
    CHECK(lock.held());
    CHECK(store.tries.back() == 1000h);
  }
}

TEST_CASE("a lock that comes free is granted at the next try", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    Watched store{clock};
    TestLock lock{store, {.timeout = 10s, .retry_interval = 100ms}, threads};
    clock.meanwhile([&] {
      if (store.tries.size() == 3) store.free();
    });
    lock.acquire();
    CHECK(store.tries.back() == 300ms);
    CHECK(store.attempts.back() == Attempt::waiting);
    CHECK(store.waits_stopped == 0);  // a grant ends the wait; there is no place in a queue to give up
  }
}

TEST_CASE("a lock that comes free just before the deadline is granted", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    Watched store{clock};
    TestLock lock{store, {.timeout = 250ms, .retry_interval = 100ms}, threads};
    clock.meanwhile([&] {
      if (clock.sleeps() == 3) store.free();
    });
    CHECK_NOTHROW(lock.acquire());
    CHECK(store.attempts.back() == Attempt::last);
  }
}

TEST_CASE("a suspended machine does not use up a timeout", "[base_lock][waiting]") {
  FakeClock clock;
  Watched store{clock};
  TestLock lock{store, {.timeout = 250ms, .retry_interval = 100ms}};
  clock.meanwhile([&] { clock.suspend(10h); });
  CHECK_THROWS_AS(lock.acquire(), LockTimeoutException);
  CHECK(store.tries.size() == 4);
}

TEST_CASE("the wall clock does not touch a timeout", "[base_lock][waiting]") {
  FakeClock clock;
  Watched store{clock};
  TestLock lock{store, {.timeout = 250ms, .retry_interval = 100ms}};
  const auto step = GENERATE(24h * 365, -24h * 365);
  clock.meanwhile([&] { clock.step_wall(step); });
  CHECK_THROWS_AS(lock.acquire(), LockTimeoutException);
  CHECK(store.tries.back() == 250ms);
}

TEST_CASE("a slow store does not stretch a timeout by more than one try", "[base_lock][waiting]") {
  constexpr auto kTry = 700ms;
  const auto timeout = GENERATE(100ms, 700ms, 1000ms, 1400ms, 5000ms);
  FakeClock clock;
  TestStore store;
  store.take_by_stranger();
  store.on_acquire = [&](const Claim&) { clock.advance(kTry); };
  TestLock lock{store, {.timeout = timeout, .retry_interval = 100ms}};
  const auto before = clock.monotonic();
  CHECK_FALSE(lock.try_acquire_for(timeout));
  CHECK(clock.monotonic() - before >= timeout);
  CHECK(clock.monotonic() - before <= timeout + kTry);
}

// Reading the clock before the first try would cost such a store's uncontended acquire half of what it costs.
TEST_CASE("a store that excludes threads itself is taken to be fast: its first try is not in the timeout", "[base_lock][waiting]") {
  constexpr auto kTry = 700ms;
  const auto timeout = GENERATE(100ms, 700ms, 1000ms, 5000ms);
  FakeClock clock;
  TestStore store;
  store.take_by_stranger();
  store.on_acquire = [&](const Claim&) { clock.advance(kTry); };
  TestLock lock{store, {.retry_interval = 100ms}, Threads::store_excludes};
  const auto before = clock.monotonic();
  CHECK_FALSE(lock.try_acquire_for(timeout));
  CHECK(clock.monotonic() - before >= timeout);
  CHECK(clock.monotonic() - before <= timeout + 2 * kTry);
}

TEST_CASE("one try gets 1 s of the store's time, or the time to the deadline when that is longer", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    const FakeClock clock;
    TestStore store;
    std::vector<nanoseconds> given;
    store.on_acquire = store.on_release = store.on_renew =
        store.on_look = [&](const Claim& claim) { given.push_back(claim.answer_by() - clock.monotonic()); };
    TestLock lock{store, {.timeout = 5s}, threads};
    const auto last_given = [&](auto call) {
      call();
      return given.back();
    };
    CHECK(last_given([&] { CHECK(lock.try_acquire()); }) == 1s);
    CHECK(last_given([&] { CHECK(lock.renew()); }) == 5s);
    CHECK(last_given([&] { CHECK(lock.locked()); }) == 5s);
    CHECK(last_given([&] { lock.release(); }) == 5s);
    CHECK(last_given([&] { lock.acquire(); }) == 5s);
    lock.release();
    CHECK(last_given([&] { CHECK(lock.try_acquire_for(100ms)); }) == 1s);
  }
}

// A server that stands still would keep a try waiting for as long as a release may, and whoever is to be told of a loss.
TEST_CASE("what is left of a hold that is lost is cleaned up in a tenth of a second, or not at all", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    TestStore store;
    std::vector<nanoseconds> given;
    store.on_release = [&](const Claim& claim) {
      given.push_back(claim.answer_by() - clock.monotonic());
      throw BackendException{Errc::busy, "no answer"};
    };
    int told = 0;
    TestLock lock{store, {.expire = 10s, .timeout = 5s, .on_lost = [&](const LockException&) { ++told; }}, threads};
    lock.acquire();
    clock.advance(11s);
    CHECK_FALSE(lock.renew());
    CHECK(told == 1);
    CHECK(lock.try_acquire());
    clock.advance(11s);
    CHECK(lock.try_acquire());
    CHECK(told == 2);
    CHECK(given == std::vector<nanoseconds>{100ms, 100ms});
  }
}

TEST_CASE("the other verbs give the store the lock's timeout, at least 1 s and at most 10 s", "[base_lock][waiting]") {
  const FakeClock clock;
  TestStore store;
  nanoseconds given{};
  store.on_look = [&](const Claim& claim) { given = claim.answer_by() - clock.monotonic(); };
  const auto given_with = [&](Duration timeout) {
    CHECK_FALSE(TestLock{store, {.timeout = timeout}}.locked());
    return given;
  };
  CHECK(given_with(4s) == 4s);
  CHECK(given_with(1h) == 10s);
  CHECK(given_with(forever) == 10s);
  CHECK(given_with(0s) == 1s);
}

TEST_CASE("a stop that was asked for before is a cancellation without a try", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    TestLock lock{store, {}, threads};
    std::stop_source stop;
    stop.request_stop();
    try {
      lock.acquire(stop.get_token());
      FAIL("nothing was thrown");
    } catch (const LockCancelledException& e) {
      CHECK(e.code() == Errc::cancelled);
      CHECK(e.lock() == "x");
      CHECK(e.backend() == "test");
    }
    CHECK(store.acquires == 0);
    CHECK_FALSE(lock.held());
  }
}

TEST_CASE("a stop ends a wait, and the place in the queue is given up", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    FakeClock clock;
    Watched store{clock};
    TestLock lock{store, {.timeout = forever, .retry_interval = 100ms}, threads};
    std::stop_source stop;
    clock.meanwhile([&] {
      if (clock.sleeps() == 3) stop.request_stop();
    });
    CHECK_THROWS_AS(lock.acquire(stop.get_token()), LockCancelledException);
    CHECK(store.tries.size() == 3);
    CHECK(store.waits_stopped == 1);
    CHECK_FALSE(lock.held());

    clock.meanwhile(nullptr);
    store.free();
    CHECK(lock.try_acquire());
  }
}

TEST_CASE("a stop_token that nobody stops changes nothing", "[base_lock][waiting]") {
  const FakeClock clock;
  Watched store{clock};
  TestLock lock{store, {.timeout = 250ms, .retry_interval = 100ms}};
  const std::stop_source stop;
  CHECK_THROWS_AS(lock.acquire(stop.get_token()), LockTimeoutException);
  CHECK(store.tries == std::vector<nanoseconds>{0ms, 100ms, 200ms, 250ms});
}

TEST_CASE("a wait that the store breaks gives up its place in the queue", "[base_lock][waiting]") {
  for (const Threads threads : kBoth) {
    const FakeClock clock;
    TestStore store;
    store.take_by_stranger();
    store.on_acquire = [&](const Claim&) {
      if (store.acquires == 2) throw std::runtime_error{"gone"};
    };
    TestLock lock{store, {.timeout = 10s}, threads};
    CHECK_THROWS_AS(lock.acquire(), BackendException);
    CHECK(store.waits_stopped == 1);
  }
}
