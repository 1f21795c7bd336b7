// SPDX-License-Identifier: MIT
#include <sherlock/clock.hpp>

#include <atomic>
#include <chrono>
#include <thread>

#include "catch.hpp"
#include "support/fake_clock.hpp"
#include "support/subprocess.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using std::chrono::nanoseconds;

TEST_CASE("the kernel's clocks do not go back", "[clock]") {
  Clock& real = real_clock();
  const auto monotonic = real.monotonic(), boottime = real.boottime();
  CHECK(real.monotonic() >= monotonic);
  CHECK(real.boottime() >= boottime);
  CHECK(boottime >= monotonic);  // it counts suspension too
}

TEST_CASE("monotonic is the steady clock, wall is the system's", "[clock]") {
  const auto before = std::chrono::steady_clock::now().time_since_epoch();
  const auto now = real_clock().monotonic();
  CHECK(before <= now);
  CHECK(now <= std::chrono::steady_clock::now().time_since_epoch());
  CHECK(std::chrono::abs(real_clock().wall() - std::chrono::system_clock::now()) < 1h);
}

TEST_CASE("the kernel's clock sleeps until the deadline, not less", "[clock]") {
  const auto deadline = real_clock().monotonic() + 5ms;
  real_clock().sleep_until(deadline, {});
  CHECK(real_clock().monotonic() >= deadline);
}

TEST_CASE("a deadline that has passed is no sleep", "[clock]") {
  for (const nanoseconds deadline : {real_clock().monotonic(), 1ns, 0ns, -1ns, nanoseconds{-1h}, nanoseconds::min()})
    real_clock().sleep_until(deadline, {});
  SUCCEED("it came back");
}

TEST_CASE("a stop ends a sleep, even one without end, or one that has not begun", "[clock]") {
  for (const nanoseconds deadline : {real_clock().monotonic() + 1h, nanoseconds::max() - 1ns, nanoseconds::max()}) {
    std::stop_source before;
    before.request_stop();
    real_clock().sleep_until(deadline, before.get_token());

    std::stop_source stop;
    const support::Pipe asleep;
    std::thread sleeper{[&] {
      asleep.tell();
      real_clock().sleep_until(deadline, stop.get_token());
    }};
    CHECK(asleep.hear());
    stop.request_stop();
    sleeper.join();
  }
}

TEST_CASE("a test's clock is in use from its making to its end", "[clock]") {
  CHECK(&sherlock::clock() == &real_clock());
  {
    const support::FakeClock fake;
    CHECK(&sherlock::clock() == &fake);
    {
      const support::FakeClock inner;
      CHECK(&sherlock::clock() == &inner);
    }
    CHECK(&sherlock::clock() == &fake);
  }
  CHECK(&sherlock::clock() == &real_clock());
  CHECK(set_clock(nullptr) == &real_clock());
}

TEST_CASE("a fake clock moves when it is turned or slept on, and only then", "[clock]") {
  support::FakeClock fake;
  const auto monotonic = fake.monotonic(), boottime = fake.boottime();
  const auto wall = fake.wall();
  CHECK(fake.monotonic() == monotonic);
  fake.advance(2s);
  fake.suspend(3s);
  CHECK(fake.monotonic() == monotonic + 2s);
  CHECK(fake.boottime() == boottime + 5s);
  CHECK(fake.wall() == wall + 5s);
  fake.sleep_until(monotonic + 4s, {});
  CHECK(fake.monotonic() == monotonic + 4s);
  fake.sleep_until(monotonic, {});
  CHECK(fake.monotonic() == monotonic + 4s);
  std::stop_source stop;
  stop.request_stop();
  fake.sleep_until(monotonic + 8s, stop.get_token());
  CHECK(fake.monotonic() == monotonic + 4s);
  CHECK_THROWS(fake.sleep_until(nanoseconds::max(), {}));
}
