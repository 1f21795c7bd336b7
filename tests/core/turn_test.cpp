// SPDX-License-Identifier: MIT
#include "core/turn.hpp"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "support/subprocess.hpp"

using namespace std::chrono_literals;
using sherlock::detail::Turn;
using std::chrono::nanoseconds;

namespace {

nanoseconds in(nanoseconds rest) { return std::chrono::steady_clock::now().time_since_epoch() + rest; }
nanoseconds patience() { return in(support::kPatience); }

// Until somebody is in a hurry.
void await_hurry(Turn& turn) {
  for (const auto deadline = patience(); !Turn::Sleep{turn, {}}.token().stop_requested() && in(0ns) < deadline;) std::this_thread::yield();
}

}  // namespace

TEST_CASE("one thread at a time has its turn", "[turn]") {
  Turn turn{1};
  long counter = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int round = 0; round < 200; ++round) {
        if (!(i % 2 ? turn.enter(patience(), {}) : turn.enter_first(patience()))) continue;
        ++counter;
        turn.leave();
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(counter == 800);
}

TEST_CASE("who does not get its turn in time is told so, and not before", "[turn]") {
  Turn turn{1};
  REQUIRE(turn.enter(patience(), {}));
  const auto deadline = in(5ms);
  CHECK_FALSE(turn.enter(deadline, {}));
  CHECK(in(0ns) >= deadline);
  CHECK_FALSE(turn.enter_first(in(1ms)));
  CHECK_FALSE(turn.enter(in(-1s), {}));
  turn.leave();
  CHECK(turn.enter(in(-1s), {}));  // free: nothing to wait for
  turn.leave();
}

TEST_CASE("a stop ends the wait for a turn", "[turn]") {
  Turn turn{1};
  REQUIRE(turn.enter(patience(), {}));
  std::stop_source stop;
  std::atomic<int> answer{-1};
  std::thread waiter{[&] { answer = turn.enter(nanoseconds::max(), stop.get_token()); }};
  stop.request_stop();
  waiter.join();
  CHECK(answer == 0);
  turn.leave();
}

TEST_CASE("who is in a hurry wakes the sleeper, who makes room and has its turn again", "[turn]") {
  Turn turn{1};
  REQUIRE(turn.enter(patience(), {}));
  std::atomic<bool> hurried{false};
  std::thread hurry;
  {
    const Turn::Sleep sleep{turn, {}};
    const auto token = sleep.token();
    CHECK_FALSE(token.stop_requested());
    hurry = std::thread{[&] {
      if (turn.enter_first(patience())) {
        hurried = true;
        turn.leave();
      }
    }};
    const auto deadline = patience();
    while (!token.stop_requested() && in(0ns) < deadline) std::this_thread::yield();
    CHECK(token.stop_requested());
    CHECK_FALSE(hurried);
  }
  turn.make_room();
  CHECK(hurried);
  CHECK_FALSE(turn.enter_first(in(1ms)));  // it is the sleeper's turn again
  turn.leave();
  hurry.join();
}

TEST_CASE("who is in a hurry goes before those who came earlier to wait", "[turn]") {
  for (int round = 0; round < 20; ++round) {
    Turn turn{1};
    REQUIRE(turn.enter(patience(), {}));
    std::atomic<int> order{0}, queued{0}, hurried{0};
    std::thread queue{[&] {
      if (turn.enter(patience(), {})) queued = ++order;
      turn.leave();
    }};
    std::this_thread::yield();
    std::thread hurry{[&] {
      if (turn.enter_first(patience())) hurried = ++order;
      turn.leave();
    }};
    await_hurry(turn);
    turn.leave();
    queue.join();
    hurry.join();
    CHECK(hurried == 1);
    CHECK(queued == 2);
  }
}

TEST_CASE("who leaves comes after those who are in a hurry already, though it is the first that is awake", "[turn]") {
  for (int round = 0; round < 20; ++round) {
    Turn turn{1};
    REQUIRE(turn.enter_first(patience()));
    std::atomic<bool> hurried{false};
    std::thread hurry{[&] {
      hurried = turn.enter_first(patience());
      turn.leave();
    }};
    await_hurry(turn);
    turn.leave();
    CHECK(turn.enter_first(patience()));
    CHECK(hurried);
    turn.leave();
    hurry.join();
  }
}

TEST_CASE("who made room has its turn again before one who was let in and now waits", "[turn]") {
  for (int round = 0; round < 20; ++round) {
    Turn turn{1};
    REQUIRE(turn.enter(patience(), {}));
    std::atomic<int> order{0}, waiter{0};
    std::thread hurry{[&] {
      if (!turn.enter_first(patience())) return;
      turn.leave();
      if (turn.enter(patience(), {})) waiter = ++order;
      turn.leave();
    }};
    await_hurry(turn);
    turn.make_room();
    CHECK(++order == 1);
    turn.leave();
    hurry.join();
    CHECK(waiter == 2);
  }
}

TEST_CASE("who falls asleep while somebody is in a hurry does not sleep", "[turn]") {
  Turn turn{1};
  REQUIRE(turn.enter(patience(), {}));
  std::thread hurry{[&] {
    if (turn.enter_first(patience())) turn.leave();
  }};
  bool woken = false;
  for (const auto deadline = patience(); !woken && in(0ns) < deadline;) woken = Turn::Sleep{turn, {}}.token().stop_requested();
  CHECK(woken);
  turn.make_room();
  turn.leave();
  hurry.join();
}

TEST_CASE("a sleeper's own stop reaches it", "[turn]") {
  Turn turn{1};
  REQUIRE(turn.enter(patience(), {}));
  std::stop_source stop;
  {
    const Turn::Sleep sleep{turn, stop.get_token()};
    CHECK_FALSE(sleep.token().stop_requested());
    stop.request_stop();
    CHECK(sleep.token().stop_requested());
  }
  turn.leave();
}

TEST_CASE("nobody in a hurry: making room is nothing", "[turn]") {
  Turn turn{1};
  REQUIRE(turn.enter(patience(), {}));
  turn.make_room();
  CHECK_FALSE(turn.enter(in(1ms), {}));
  turn.leave();
}
