// SPDX-License-Identifier: MIT
// Leases on files: held as a shared flock, so that a successor can come in beside a late holder while strangers stay out.
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
bool wait_until_over(const FileLock& lock) {
  return eventually([&] { return !lock.held(); });
}

}  // namespace

TEST_CASE("an expired lease is taken from a living holder, who is told and leaves its successor alone", "[file][process]") {
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
  CHECK_FALSE(flock_would_get(lock.path()));
  late.resume();
  go.tell();
  CHECK(late.wait() == Exit{0, 0});
  CHECK(lock.renew());
  CHECK(lock.fence() == fence);
  CHECK_FALSE(third.try_acquire());
  CHECK_FALSE(flock_would_get(lock.path()));
  lock.release();
  CHECK(third.try_acquire());
  CHECK_FALSE(third.abandoned());
  CHECK(third.fence() > fence);
}

TEST_CASE("a late holder that never says anything again is in nobody's way", "[file][process]") {
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
    CHECK_FALSE(flock_would_get(lease.path()));
    never_ends.release();
    CHECK(lease.try_acquire());
    CHECK_FALSE(never_ends.try_acquire());
    lease.release();
    CHECK_FALSE(flock_would_get(lease.path()));  // the late one still has its share
  }
  late.kill();
  CHECK(flock_would_get(lease.path()));
  CHECK(lease.try_acquire());
}

TEST_CASE("several late holders of one lock are in nobody's way", "[file]") {
  const Ground ground;
  auto first = ground.lock("x", {.expire = 1ms, .timeout = kPatience}), second = ground.lock("x", {.expire = 1ms, .timeout = kPatience}),
       third = ground.lock("x", {.expire = 1ms, .timeout = kPatience}), fourth = ground.lock("x", {.timeout = kPatience});
  for (FileLock* lock : {&first, &second, &third, &fourth}) lock->acquire();
  CHECK_THROWS_AS(second.release(), LockLostException);
  CHECK_THROWS_AS(first.release(), LockLostException);
  CHECK(fourth.renew());
  CHECK_FALSE(third.try_acquire());  // cleans up its old hold
  CHECK(fourth.renew());
  CHECK_FALSE(flock_would_get(fourth.path()));
  fourth.release();
  CHECK(flock_would_get(fourth.path()));
}

TEST_CASE("once all late holders are gone a foreign shared flock keeps us out as ever", "[file]") {
  const Ground ground;
  auto late = ground.lock("x", {.expire = 1ms}), lock = ground.lock("x", {.timeout = kPatience});
  late.acquire();
  lock.acquire();
  CHECK_THROWS_AS(late.release(), LockLostException);
  lock.release();
  const Foreigner reader{lock.path()};
  REQUIRE(reader.try_lock(LOCK_SH));
  CHECK_FALSE(lock.try_acquire());
  CHECK_FALSE(late.try_acquire());
}

TEST_CASE("strangers who want the file for themselves stay out over any number of take-overs", "[file][process]") {
  const Ground ground;
  const Shared<std::atomic<int>> over, tries, intrusions;
  auto a = ground.lock("x", {.expire = 3ms, .timeout = kPatience}), b = ground.lock("x", {.expire = 3ms, .timeout = kPatience});
  a.acquire();
  std::vector<Child> strangers;
  for (int i = 0; i < 2; ++i)
    strangers.emplace_back([&, i] {
      // One with a descriptor that it keeps, one that opens the file anew.
      const Foreigner kept{a.path()};
      while (!over->load()) {
        ++*tries;
        if (i == 0 ? kept.try_lock() : flock_would_get(a.path())) {
          if (!over->load()) ++*intrusions;
          kept.unlock();
        }
      }
      return 0;
    });
  REQUIRE(eventually([&] { return tries->load() > 100; }));
  FileLock *holder = &a, *next = &b;
  for (int i = 0; i < 100; ++i) {
    next->acquire();
    holder->unlock();  // late
    std::swap(holder, next);
  }
  over->store(1);
  for (Child& child : strangers) CHECK(child.wait() == Exit{0, 0});
  CHECK(intrusions->load() == 0);
}

TEST_CASE("a foreign shared flock that came in during a lease stays, and the next of us waits for it", "[file]") {
  const Ground ground;
  auto lease = ground.lock("x", {.expire = 1h}), lock = ground.lock();
  lease.acquire();
  const Foreigner reader{lease.path()};
  CHECK(reader.try_lock(LOCK_SH));
  lease.release();
  CHECK_FALSE(lock.try_acquire());
  CHECK_FALSE(lease.try_acquire());
  reader.unlock();
  CHECK(lock.try_acquire());
}

TEST_CASE("who renews at the last moment has the lease, or is told; never both who renews and who comes", "[file][process]") {
  constexpr int kHolds = 150, kRenewals = 64;
  constexpr auto kLease = 3ms;
  struct Hold {
    std::uint64_t fence;
    std::int64_t granted_by, until;  // CLOCK_BOOTTIME; until: what its holder could believe, by its last good acquire or renew
  };
  struct Board {
    std::atomic<int> next{0};
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
        if (!lock.held() && random() % 2) lock.unlock();
      }
    });
  for (Child& child : children) CHECK(child.wait(60s) == Exit{0, 0});
  std::map<std::uint64_t, Hold> by_fence;
  int doubles = 0, overlaps = 0, renewed = 0;
  for (const Hold& hold : board->holds) doubles += !by_fence.emplace(hold.fence, hold).second;
  for (auto hold = by_fence.begin(); hold != by_fence.end(); ++hold) {
    renewed += hold->second.until != 0;
    // None of them let go in time. Whoever came later came after the time until which it could believe.
    if (const auto next = std::next(hold); next != by_fence.end()) overlaps += next->second.granted_by < hold->second.until;
  }
  CHECK(doubles == 0);
  CHECK(overlaps == 0);
  CHECK(renewed > kHolds / 10);
}

TEST_CASE("a lease that its holder's death ends is free at once", "[file][process]") {
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

TEST_CASE("the same object takes its own expired lease anew", "[file]") {
  const Ground ground;
  int told = 0;
  auto lock = ground.lock("x", {.expire = 2ms, .on_lost = [&](const LockException&) { ++told; }}), other = ground.lock();
  lock.acquire();
  const std::uint64_t fence = lock.fence();
  REQUIRE(wait_until_over(lock));
  CHECK(lock.try_acquire());
  CHECK(told == 1);
  CHECK((!lock.held() || lock.fence() > fence));
  CHECK_FALSE(flock_would_get(lock.path()));
  lock.unlock();
  CHECK(flock_would_get(lock.path()));
  CHECK(other.try_acquire());
}

TEST_CASE("a release in time gives the file back to strangers at once, one that is late too", "[file]") {
  const Ground ground;
  auto lock = ground.lock("x", {.expire = 1h});
  lock.acquire();
  CHECK(lock.renew());
  lock.release();
  CHECK(flock_would_get(lock.path()));
  auto brief = ground.lock("x", {.expire = 1ms});
  brief.acquire();
  REQUIRE(wait_until_over(brief));
  CHECK_FALSE(flock_would_get(lock.path()));
  CHECK_THROWS_AS(brief.release(), LockLostException);
  CHECK(flock_would_get(lock.path()));
}
