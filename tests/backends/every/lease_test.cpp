// SPDX-License-Identifier: MIT
// Leases, whatever the store: between a take-over and a renewal the record of the expiry decides, between everything else the word.
#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sherlock/clock.hpp>

#include "ground.hpp"

using namespace ground;
using std::chrono::nanoseconds;

namespace {

nanoseconds boottime() { return sherlock::clock().boottime(); }
bool wait_until_over(const StoreLock& lock) {
  return eventually([&] { return !lock.held(); });
}

}  // namespace

TEST_CASE("an expired lease is taken from a living holder, who is told and leaves its successor alone", "[process]") {
  const Ground ground;
  Pipe ready, go;
  Child late{[&] {
    int told = 0;
    auto lock = ground.lock("x", {.expire = 30ms, .on_lost = [&](const LockException&) { ++told; }});
    lock.acquire();
    ready.tell();
    if (!go.hear()) return 1;
    if (lock.held()) return 2;
    if (lock.renew()) return 3;
    if (!throws<LockLostException>([&] { lock.release(); })) return 4;
    if (told != 1) return 5;
    return lock.try_acquire() ? 6 : 0;
  }};
  REQUIRE(ready.hear());
  late.stop();
  auto lock = ground.lock("x", {.expire = 1h, .timeout = kPatience}), third = ground.lock();
  lock.acquire();
  CHECK(lock.abandoned());
  const std::uint64_t fence = lock.fence();
  CHECK_FALSE(third.try_acquire());
  CHECK(ground.strangers_agree(false));
  late.resume();
  go.tell();
  CHECK(late.wait() == Exit{0, 0});
  CHECK(lock.renew());
  CHECK(lock.fence() == fence);
  CHECK_FALSE(third.try_acquire());
  CHECK(ground.strangers_agree(false));
  lock.release();
  CHECK(third.try_acquire());
  CHECK_FALSE(third.abandoned());
  CHECK(third.fence() > fence);
}

TEST_CASE("a late holder that never says anything again is in nobody's way", "[process]") {
  const Ground ground;
  Pipe ready;
  Child late{[&] {
    auto lock = ground.lock("x", {.expire = 1ms});
    lock.acquire();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  late.stop();
  auto never_ends = ground.lock("x", {.timeout = kPatience}), lease = ground.lock("x", {.expire = 1h});
  for (int i = 0; i < 20; ++i) {
    never_ends.acquire();
    CHECK_FALSE(lease.try_acquire());
    CHECK(ground.strangers_agree(false));
    never_ends.release();
    CHECK(lease.try_acquire());
    CHECK_FALSE(never_ends.try_acquire());
    lease.release();
    CHECK(ground.strangers_agree(false));  // the late one still has its share
  }
  late.kill();
  CHECK(ground.strangers_agree(true));
  CHECK(lease.try_acquire());
  CHECK_FALSE(lease.abandoned());
}

TEST_CASE("several late holders of one lock are in nobody's way") {
  const Ground ground;
  auto first = ground.lock("x", {.expire = 1ms, .timeout = kPatience}), second = ground.lock("x", {.expire = 1ms, .timeout = kPatience}),
       third = ground.lock("x", {.expire = 1ms, .timeout = kPatience}), fourth = ground.lock("x", {.timeout = kPatience});
  for (StoreLock* lock : {&first, &second, &third, &fourth}) lock->acquire();
  CHECK(fourth.abandoned());
  CHECK_THROWS_AS(second.release(), LockLostException);
  CHECK_THROWS_AS(first.release(), LockLostException);
  CHECK(fourth.renew());
  CHECK_FALSE(third.try_acquire());  // cleans up its old hold
  CHECK(fourth.renew());
  CHECK(ground.strangers_agree(false));
  fourth.release();
  CHECK(ground.strangers_agree(true));
  CHECK(first.try_acquire());
}

TEST_CASE("who renews at the last moment has the lease, or is told; never both who renews and who comes", "[process]") {
  constexpr int kEnough = 150, kHolds = 4000, kRenewals = 64;  // a machine that mostly comes too late for a renewal goes on
  constexpr auto kLease = 3ms;
  struct Hold {
    std::uint64_t fence;
    std::int64_t granted_by, until;  // CLOCK_BOOTTIME; until: what its holder could believe, by its last good acquire or renew
  };
  struct Board {
    std::atomic<int> next{0}, renewed{0};
    Hold holds[kHolds];
  };
  const Ground ground;
  const Shared<Board> board;
  std::vector<Child> children;
  for (unsigned p = 0; p < 3; ++p)
    children.emplace_back([&, p] {
      auto lock = ground.lock("x", {.expire = kLease, .timeout = forever});
      std::minstd_rand random{p + 1};
      for (;;) {
        lock.acquire();
        Hold hold{};
        hold.granted_by = boottime().count();
        try {
          hold.fence = lock.fence();
        } catch (const LockNotHeldException&) {  // over already
          lock.unlock();
          continue;
        }
        for (int i = 0; i < kRenewals; ++i) {
          // Mostly near its end.
          std::this_thread::sleep_for(kLease - 1ms + std::chrono::microseconds{random() % 1200});
          const auto before = boottime();
          if (!lock.renew()) break;
          hold.until = (before + kLease).count();
        }
        const int number = board->next.fetch_add(1);
        if (number >= kHolds) return 0;
        board->holds[number] = hold;
        if (hold.until != 0) ++board->renewed;
        if (number >= kEnough && board->renewed > kEnough / 10) return 0;
        if (!lock.held() && random() % 2) lock.unlock();
      }
    });
  for (Child& child : children) CHECK(child.wait(60s) == Exit{0, 0});
  std::map<std::uint64_t, Hold> by_fence;
  int doubles = 0, overlaps = 0;
  for (const Hold& hold : board->holds)
    if (hold.fence != 0) doubles += !by_fence.emplace(hold.fence, hold).second;
  for (auto hold = by_fence.begin(); hold != by_fence.end(); ++hold) {
    // None of them let go in time. Whoever came later came after the time until which it could believe.
    if (const auto next = std::next(hold); next != by_fence.end()) overlaps += next->second.granted_by < hold->second.until;
  }
  CHECK(doubles == 0);
  CHECK(overlaps == 0);
  CHECK(board->renewed > kEnough / 10);
}

TEST_CASE("a lease that its holder's death ends is free at once", "[process]") {
  const Ground ground;
  Pipe ready;
  Child holder{[&] {
    auto lock = ground.lock("x", {.expire = 1h});
    lock.acquire();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  auto lock = ground.lock("x", {.timeout = kPatience});
  CHECK_FALSE(lock.try_acquire());
  holder.kill();
  lock.acquire();
  CHECK(lock.abandoned());
}

TEST_CASE("the same object takes its own expired lease anew") {
  const Ground ground;
  int told = 0;
  auto lock = ground.lock("x", {.expire = 2ms, .on_lost = [&](const LockException&) { ++told; }}), other = ground.lock();
  const auto fence_of = [](const StoreLock& held) -> std::uint64_t {
    try {
      return held.fence();
    } catch (const LockNotHeldException&) {  // over already
      return 0;
    }
  };
  lock.acquire();
  const std::uint64_t before = fence_of(lock);
  REQUIRE(wait_until_over(lock));
  CHECK(lock.try_acquire());
  CHECK(told == 1);
  const std::uint64_t after = fence_of(lock);
  CHECK((before == 0 || after == 0 || after > before));
  CHECK(ground.strangers_agree(false));
  lock.unlock();
  CHECK(ground.strangers_agree(true));
  CHECK(other.try_acquire());
}

TEST_CASE("a hold that never ends, after a lease or before one, has no end of the other's") {
  const Ground ground;
  auto lease = ground.lock("x", {.expire = 2ms, .timeout = kPatience}), never_ends = ground.lock("x", {.timeout = kPatience});
  for (int i = 0; i < 5; ++i) {
    lease.acquire();
    never_ends.acquire();  // takes it over
    const auto end = boottime() + 5ms;
    while (boottime() < end) CHECK_FALSE(lease.try_acquire());
    CHECK(never_ends.renew());
    CHECK_NOTHROW(never_ends.release());
  }
}

TEST_CASE("a renewal moves the end on, for everybody", "[process]") {
  const Ground ground;
  Child holder{[&] {
    auto lock = ground.lock("x", {.expire = 60ms}), other = ground.lock();
    lock.acquire();
    const auto first = lock.holder();
    const auto end = boottime() + 300ms;
    bool renewed = false;
    while (boottime() < end) {
      if (!lock.renew()) return lock.holder() ? 1 : 0;  // a busy machine kept us away for too long, and that was told
      renewed = true;
      if (other.try_acquire()) return lock.held() ? 2 : 0;
      std::this_thread::sleep_for(5ms);
    }
    const auto last = lock.holder();
    if (!first || !last || !renewed) return 0;  // so did it here
    return last->expiry > first->expiry ? 0 : 3;
  }};
  CHECK(holder.wait() == Exit{0, 0});
}

TEST_CASE("a waiter has a lease that runs out as soon as it has run out, though nobody wakes it", "[process]") {
  const Ground ground;
  Pipe ready;
  Child holder{[&] {
    auto lock = ground.lock("x", {.expire = 200ms});
    lock.acquire();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  auto lock = ground.lock("x", {.timeout = kPatience, .retry_interval = 1h});
  lock.acquire();  // its patience is a hundred times the lease
  CHECK(lock.abandoned());
  CHECK(holder.running());
}

TEST_CASE("every lease that was granted ends once: by a release in time, or by a loss that is told", "[process]") {
  const Ground ground;
  struct Sums {
    std::atomic<int> granted{0}, released{0}, lost{0}, told{0};
  };
  const Shared<Sums> sums;
  std::vector<Child> children;
  for (unsigned p = 0; p < 3; ++p)
    children.emplace_back([&, p] {
      {
        auto lock = ground.lock("x", {.expire = 1ms, .timeout = forever, .on_lost = [&](const LockException&) { ++sums->told; }});
        std::minstd_rand random{p + 1};
        for (int i = 0; i < 150; ++i) {
          lock.acquire();
          ++sums->granted;
          std::this_thread::sleep_for(std::chrono::microseconds{random() % 1500});
          try {
            if (random() % 4 == 0) (void)lock.renew();
            lock.release();
            ++sums->released;
          } catch (const LockLostException&) {
            ++sums->lost;
          }
        }
      }
      return 0;
    });
  for (Child& child : children) CHECK(child.wait(60s) == Exit{0, 0});
  CHECK(sums->granted.load() == 450);
  CHECK(sums->released.load() + sums->lost.load() == 450);
  CHECK(sums->told.load() == sums->lost.load());
  CHECK(sums->lost.load() > 0);
}

TEST_CASE("a holder that is stopped between its grant and what it writes next is overtaken by nobody whose fence is lower", "[process]") {
  const Ground ground;
  const Shared<std::atomic<std::uint64_t>> last;
  const Shared<std::atomic<int>> over, backwards, grants;
  std::vector<Child> children;
  for (unsigned p = 0; p < 4; ++p)
    children.emplace_back([&, p] {
      auto lock = ground.lock("x", {.expire = p % 2 ? Duration{1ms} : Duration{3ms}, .timeout = forever});
      for (std::uint64_t before = 0; !over->load();) {
        lock.acquire();
        std::uint64_t mine = 0;
        try {
          mine = lock.fence();
        } catch (const LockNotHeldException&) {
        }
        if (mine != 0) {
          // Of an own hold and the next the second has the higher fence, whoever was late with writing his.
          backwards->fetch_add(mine <= before);
          before = mine;
          std::uint64_t present = last->load();
          while (present < mine && !last->compare_exchange_weak(present, mine)) {
          }
          ++*grants;
        }
        if (p == 3) std::this_thread::sleep_for(2ms);
        lock.unlock();
      }
      return 0;
    });
  std::minstd_rand random{17};
  const auto enough = [&] { return grants->load() > 50; };
  for (int i = 0; i < 150 || (!enough() && i < 5000); ++i) {
    Child& victim = children[random() % children.size()];
    victim.stop();
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 4000});
    victim.resume();
  }
  over->store(1);
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  CHECK(backwards->load() == 0);
  CHECK(enough());
  auto lock = ground.lock("x", {.timeout = kPatience});
  lock.acquire();
  CHECK(lock.fence() > last->load());
}
