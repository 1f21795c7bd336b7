// SPDX-License-Identifier: MIT
// The short way: what a store can decide without a claim is decided without one, and everything else goes as it always does.
#include <sherlock/base_lock.hpp>

#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "core/boottime.hpp"
#include "support/becomes.hpp"
#include "support/fake_clock.hpp"
#include "support/subprocess.hpp"

using namespace std::chrono_literals;
using namespace sherlock;

namespace {

struct Store {
  std::atomic<std::uint64_t> holder{0};  // the fence of whoever has it; 0: nobody
  std::atomic<std::uint64_t> fences{100};
  std::atomic<int> quick_acquires{0}, acquires{0}, quick_releases{0}, releases{0};
  bool quick = true;          // whether it can decide at once
  bool quick_release = true;
  bool abandoned = false;     // what the long way says of the hold before
  std::function<void()> meanwhile{};  // happens once, just before the short way takes it
  std::atomic<std::chrono::nanoseconds> lease_ends{};
};

class QuickLock final : public BaseLock {
 public:
  explicit QuickLock(Store& store, Options options = {})
      : BaseLock{"x", std::move(options), Traits{.never = true, .default_expire = never}, "quick", Threads::store_decides_at_once}, store_{store} {}
  ~QuickLock() override { let_go(); }

 private:
  std::uint64_t take() {
    const std::uint64_t fence = ++store_.fences;
    std::uint64_t nobody = 0;
    return store_.holder.compare_exchange_strong(nobody, fence) ? fence : 0;
  }
  bool give_back(std::uint64_t fence) { return store_.holder.compare_exchange_strong(fence, 0); }

  std::uint64_t do_acquire_at_once(std::int64_t, std::chrono::nanoseconds lease_ends) noexcept override {
    ++store_.quick_acquires;
    if (const auto first = std::exchange(store_.meanwhile, nullptr)) first();
    if (!store_.quick) return 0;
    store_.lease_ends = lease_ends;
    return take();
  }
  bool do_release_at_once(std::uint64_t fence, std::int64_t) noexcept override {
    ++store_.quick_releases;
    return store_.quick_release && give_back(fence);
  }
  std::optional<Grant> do_acquire(const Claim&) override {
    ++store_.acquires;
    const std::uint64_t fence = take();
    return fence ? std::optional{Grant{.fence = fence, .abandoned = store_.abandoned}} : std::nullopt;
  }
  bool do_release(const Claim& claim) override {
    ++store_.releases;
    return give_back(claim.fence);
  }
  bool do_renew(const Claim& claim) override { return store_.holder == claim.fence; }
  bool do_locked(const Claim&) const override { return store_.holder != 0; }
  std::optional<Holder> do_holder(const Claim&) const override { return {}; }

  Store& store_;
};

}  // namespace

TEST_CASE("a store that decides at once is asked nothing else", "[at_once]") {
  Store store;
  QuickLock lock{store, {.timeout = 1s}};
  lock.acquire();
  CHECK(lock.held());
  CHECK(lock.fence() == store.holder);
  CHECK_FALSE(lock.abandoned());
  lock.release();
  CHECK_FALSE(lock.held());
  CHECK(lock.try_acquire());
  lock.unlock();
  CHECK(lock.try_acquire_for(1s));
  lock.unlock();
  CHECK(store.holder == 0);
  CHECK(store.quick_acquires == 3);
  CHECK(store.acquires == 0);
  CHECK(store.releases == 0);
}

TEST_CASE("where the store cannot say at once it is asked properly", "[at_once]") {
  Store store;
  QuickLock lock{store};
  store.quick = store.quick_release = false;
  CHECK(lock.try_acquire());
  CHECK(store.acquires == 1);
  CHECK(lock.held());
  CHECK_NOTHROW(lock.release());
  CHECK(store.releases == 1);
  CHECK(store.holder == 0);
  lock.acquire();
  lock.unlock();
  CHECK(store.holder == 0);
}

TEST_CASE("a hold is not abandoned because another thread's of the same object was, a moment before", "[at_once]") {
  Store store;
  QuickLock lock{store};
  store.meanwhile = [&] {  // as another thread: the short way has been found open already
    store.quick = false;
    store.abandoned = true;
    lock.acquire();
    CHECK(lock.abandoned());
    lock.release();
    store.quick = true;
  };
  lock.acquire();
  CHECK_FALSE(lock.abandoned());
  lock.release();
  CHECK(store.holder == 0);
}

TEST_CASE("a lock that somebody has is refused the long way, with its own answer", "[at_once]") {
  Store store;
  QuickLock first{store}, second{store};
  first.acquire();
  CHECK_FALSE(second.try_acquire());
  CHECK_FALSE(first.try_acquire());  // not re-entrant, and not touched
  CHECK(first.held());
  CHECK_THROWS_AS(second.release(), LockNotHeldException);
  first.release();
  CHECK_THROWS_AS(first.release(), LockNotHeldException);
}

TEST_CASE("a hold that the store does not know any more is lost, whichever way it is let go", "[at_once]") {
  Store store;
  int told = 0;
  QuickLock lock{store, {.on_lost = [&](const LockException&) { ++told; }}};
  lock.acquire();
  store.holder = 7;
  CHECK_THROWS_AS(lock.release(), LockLostException);
  CHECK(told == 1);
  CHECK(store.holder == 7);
  store.holder = 0;
  lock.acquire();
  store.holder = 8;
  lock.unlock();
  CHECK(told == 2);
  CHECK(store.holder == 8);
}

TEST_CASE("a lease that was granted at once ends, counted from before the store was asked", "[at_once]") {
  Store store;
  support::FakeClock clock;
  int told = 0;
  QuickLock lock{store, {.expire = 10s, .on_lost = [&](const LockException&) { ++told; }}};
  const auto before = sherlock::clock().boottime();
  lock.acquire();
  CHECK(store.lease_ends.load() == before + 10s);
  CHECK(lock.held());
  clock.advance(9s);
  CHECK(lock.renew());
  clock.advance(9s);
  CHECK(lock.held());
  CHECK_NOTHROW(lock.release());
  lock.acquire();
  clock.advance(10s);
  CHECK_FALSE(lock.held());
  CHECK_THROWS_AS(lock.release(), LockLostException);
  CHECK(told == 1);
}

TEST_CASE("of two threads that release one hold, one does, in either way", "[at_once]") {
  Store store;
  QuickLock lock{store};
  for (int round = 0; round < 2000; ++round) {
    store.quick_release = round % 2 == 0;
    lock.acquire();
    std::atomic<int> released{0}, refused{0};
    const auto release = [&] {
      try {
        lock.release();
        ++released;
      } catch (const LockNotHeldException&) {
        ++refused;
      }
    };
    std::thread other{release};
    release();
    other.join();
    REQUIRE(released == 1);
    REQUIRE(refused == 1);
    REQUIRE(store.holder == 0);
  }
}

TEST_CASE("threads that share an object exclude each other the short way", "[at_once]") {
  Store store;
  QuickLock lock{store, {.retry_interval = 1ms}};
  long counted = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        while (!lock.try_acquire()) std::this_thread::yield();
        ++counted;
        lock.release();
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(counted == 4 * 5000);
}

TEST_CASE("a forked child lets nothing go of its parent's, the short way either", "[at_once][process]") {
  Store store;
  QuickLock lock{store};
  lock.acquire();
  const int asked = store.quick_releases;
  support::Child child{[&] {
    lock.unlock();
    try {
      lock.release();
      return 1;
    } catch (const LockNotHeldException&) {
    }
    return lock.held() || store.quick_releases != asked ? 2 : 0;
  }};
  CHECK(child.wait() == support::Exit{0, 0});
  CHECK(lock.held());
}

TEST_CASE("a lease that was granted at once lasts as long as it was asked for, and at most two ticks of a coarse clock longer", "[at_once]") {
  Store store;
  for (const auto expire : {5ms, 1000ms, 3600'000ms}) {
    CAPTURE(expire.count());
    QuickLock lock{store, {.expire = expire}};
    const auto before = real_clock().boottime();
    lock.acquire();
    const auto after = real_clock().boottime();
    CHECK(store.lease_ends.load() >= before + expire);
    CHECK(store.lease_ends.load() <= after + expire + 2 * 10ms);
    lock.unlock();
  }
}

TEST_CASE("what the machine was suspended for is asked anew when the clocks have moved apart", "[at_once]") {
  const auto wall = sherlock::posix::coarse_wall(), monotonic = sherlock::posix::coarse_monotonic();
  // A machine that interrupts each look at the clocks makes it answer too little, and not remember it.
  const auto asked = [&](std::int64_t seen) {
    std::chrono::nanoseconds time{};
    CHECK(support::becomes([&] {
      time = detail::boottime_or_later(seen, monotonic);
      return detail::suspended.distance.load() == seen - monotonic;
    }));
    return time;
  };
  const auto right = asked(wall);
  // As it would be seen after an hour of sleep, which CLOCK_BOOTTIME does not know of here.
  CHECK(asked(wall + 3'600'000'000'000) - right < 1ms);
  CHECK(asked(wall) - right < 1ms);
}
