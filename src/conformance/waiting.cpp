// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <numeric>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "conformance/crew.hpp"
#include "conformance/groups.hpp"

namespace sherlock::conformance {
namespace {

using namespace std::chrono_literals;

// A waiter that would not look by itself before its timeout.
Options sleepy(Duration timeout) { return {.timeout = timeout, .retry_interval = 1h}; }

}  // namespace

void free_is_granted_at_once(Stage& stage) {
  promptly("a lock that nobody ever had", [&] { stage.lock(stage.name(), sleepy(kFarOff))->acquire(); });
  const std::string name = stage.name();
  const auto lock = stage.lock(name, sleepy(kFarOff));
  Other there = stage.other(name);
  promptly("a lock that was released", [&] {
    there.acquire();
    there.release();
    lock->acquire();
    lock->release();
  });
  promptly("a try of a free lock", [&] {
    require(lock->try_acquire(), "a try was refused a free lock");
    lock->release();
  });
  require(lock->try_acquire_for(1h), "a wait was refused a free lock");
}

void timeout_of_zero(Stage& stage) {
  const std::string name = stage.name();
  Other there = stage.other(name);
  const auto lock = stage.lock(name, {.timeout = 0s, .retry_interval = 1h});
  there.acquire();
  const auto refused = [&](const std::string& what, auto verb) {
    promptly(what, [&] { require(!verb(), what + " was granted a lock that is held"); });
  };
  promptly("acquire with a timeout of 0", [&] {
    require_throw<LockTimeoutException>("acquire with a timeout of 0, of a lock that is held,", "LockTimeoutException", [&] { lock->acquire(); });
  });
  refused("a try", [&] { return lock->try_acquire(); });
  refused("a try for 0 s", [&] { return lock->try_acquire_for(0s); });
  refused("a try for less than no time", [&] { return lock->try_acquire_for(-1h); });
  refused("a try until a time that has passed", [&] { return lock->try_lock_until(std::chrono::steady_clock::now() - 1h); });
  there.release();

  lock->acquire();
  lock->release();
  require(lock->try_acquire_for(-1h), "a try for less than no time was refused a free lock");
  lock->release();
  require(lock->try_lock_until(std::chrono::steady_clock::now() - 1h), "a try until a time that has passed was refused a free lock");
}

void timeout_is_kept(Stage& stage) {
  const std::string name = stage.name();
  Other there = stage.other(name);
  there.acquire();
  for (const Duration retry_interval : {Duration{10ms}, Duration{1h}}) {
    const auto lock = stage.lock(name, {.timeout = 200ms, .retry_interval = retry_interval});
    const auto waits = [&](const std::string& what, auto verb) {
      promptly(what + ", with a timeout of 200ms", [&] {
        const Timer timer;
        verb();
        require(timer.elapsed() >= 200ms, what + " gave up before its timeout, after " + Duration{timer.elapsed()}.text());
      });
    };
    waits("acquire", [&] {
      require_throw<LockTimeoutException>("acquire of a lock that stays held", "LockTimeoutException", [&] { lock->acquire(); });
    });
    waits("try_acquire_for", [&] { require(!lock->try_acquire_for(200ms), "a lock was granted that is held"); });
    require(!lock->held(), "held() is true after a timeout");
  }
  require(there.renew(), "a hold ended while others waited for it");
}

void release_wakes(Stage& stage) {
  const std::string name = stage.name();
  const auto here = stage.lock(name, sleepy(kFarOff)), twin = stage.lock(name, sleepy(kFarOff));
  Other there = stage.other(name, sleepy(kFarOff));
  const auto settle = [] { nap(30ms); };  // whether the waiter sleeps by then or not, the release must reach it

  for (int round = 0; round < 3; ++round) {
    promptly("a waiter whose lock somebody else holds and releases", [&] {
      here->acquire();
      there.start("acquire");
      settle();
      here->release();
      there.finish();
      there.release();
    });
    promptly("a waiter, here, whose lock somebody else holds and releases", [&] {
      there.acquire();
      side_by_side(
          [&] {
            settle();
            there.release();
          },
          [&] { here->acquire(); });
      here->release();
    });
    promptly("a waiter whose lock another object of the process holds and releases", [&] {
      here->acquire();
      side_by_side(
          [&] {
            settle();
            here->release();
          },
          [&] { twin->acquire(); });
      twin->release();
    });
  }
}

// One process in which one object holds the lock and another waits. It is stopped most of the time, so that all that the store does for the
// waiter takes several times as long as it should.
void slow_store_keeps_timeout(Stage& stage) {
  const std::string name = stage.name();
  const auto slow = Actor::process(stage.subject());
  Other holder = stage.other(slow, name), waiter = stage.other(slow, name, {.timeout = 600ms, .retry_interval = 1h});
  holder.acquire();
  promptly(
      "a slow waiter with a timeout of 600ms",
      [&] {
        const Timer timer;
        waiter.start("acquire");
        while (!slow->answered_within(4ms) && timer.elapsed() < 5s) {
          slow->stop();
          nap(16ms);
          slow->go_on();
        }
        require_throw<LockTimeoutException>("acquire of a lock that stays held", "LockTimeoutException", [&] { waiter.finish(); });
        require(timer.elapsed() >= 600ms, "a slow waiter gave up before its timeout");
      },
      1200ms);
}

void stop_token_cancels(Stage& stage) {
  const std::string name = stage.name();
  const auto lock = stage.lock(name, sleepy(kFarOff));
  const auto cancelled = [&](const std::string& what, const std::stop_token& stop) {
    require_throw<LockCancelledException>(what, "LockCancelledException", [&] { lock->acquire(stop); });
    require(!lock->held(), "a cancelled wait left a hold");
  };
  std::stop_source before;
  before.request_stop();
  cancelled("acquire of a free lock, with a stop that was requested before,", before.get_token());
  require(!lock->locked(), "a cancelled wait left the lock held");

  Other there = stage.other(name);
  there.acquire();
  promptly("a wait that was cancelled after 50ms", [&] {
    std::stop_source soon;
    std::jthread stopper{[&] {
      nap(50ms);
      soon.request_stop();
    }};
    cancelled("a wait that is stopped", soon.get_token());
  });
  there.release();
  // Nothing is left of the wait that would keep others waiting.
  promptly("acquire after somebody's wait was cancelled", [&] {
    there.acquire();
    there.release();
  });
  lock->acquire(std::stop_token{});
  require(lock->held(), "acquire with a stop_token that cannot stop did not acquire");
}

void last_try_is_made(Stage& stage) {
  // The holder leaves without a word that a waiter could hear: its lease ends. Or it releases, and nobody needs to hear that.
  with_lease(stage, [&](Duration length) {
    for (const bool released : {true, false}) {
      const std::string name = stage.name();
      const auto holder = stage.lock(name, {.expire = length});
      Other waiter = stage.other(name, sleepy(Duration{2 * length.ns()}));
      Lease lease{*holder, length};
      const Timer waits;
      waiter.start("acquire");
      if (released) {
        nap(length.ns() / 3);
        try {
          holder->release();
        } catch (const LockLostException&) {
          throw TooSlow{};
        }
      } else {
        lease.wait_for_end();
      }
      if (waits.elapsed() >= 3 * length.ns() / 2) throw TooSlow{};
      try {
        waiter.finish();
      } catch (const LockTimeoutException&) {
        throw Broken{"a lock that was free for the rest of a waiter's time was not granted to it"};
      }
    }
  });
}

void nobody_starves(Stage& stage) {
  const std::string name = stage.name();
  constexpr int kRounds = 3;  // a machine that keeps one of them from running for a second makes one round look bad, and not all
  constexpr std::uint64_t kEnough = 30;  // in a round of fewer turns who had one is not told from who had his share
  constexpr auto kLongest = 4800ms;
  auto time = 1200ms;
  std::vector<Other> all;
  for (int i = 0; i < 5; ++i) all.push_back(stage.other(name));
  std::string starved;
  for (int round = 0; round < kRounds;) {
    for (const Other& one : all) one.actor().tell({"take turns", one.id(), std::to_string(std::chrono::nanoseconds{time}.count())});
    std::vector<std::uint64_t> turns;
    for (const Other& one : all) turns.push_back(std::stoull(one.actor().hear().at(0)));
    const std::uint64_t sum = std::accumulate(turns.begin(), turns.end(), std::uint64_t{0}), least = *std::min_element(turns.begin(), turns.end());
    require(sum > 0, "nobody was granted the lock");
    if (sum < kEnough && time < kLongest) {
      time *= 2;
      continue;
    }
    if (least * all.size() * 5 >= sum) return;
    starved = "of " + std::to_string(sum) + " turns, one of five who all wanted the lock had " + std::to_string(least);
    ++round;
  }
  throw Broken{starved};
}

}  // namespace sherlock::conformance
