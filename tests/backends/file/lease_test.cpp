// SPDX-License-Identifier: MIT
// Leases on files: held as a shared flock, so that a successor can come in beside a late holder while strangers stay out.
#include <atomic>
#include <thread>
#include <vector>

#include "ground.hpp"

using namespace ground;

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

TEST_CASE("a release in time gives the file back to strangers at once, one that is late too", "[file]") {
  const Ground ground;
  auto lock = ground.lock("x", {.expire = 1h});
  lock.acquire();
  CHECK(lock.renew());
  lock.release();
  CHECK(flock_would_get(lock.path()));
  auto brief = ground.lock("x", {.expire = 1ms});
  brief.acquire();
  REQUIRE(eventually([&] { return !brief.held(); }));
  CHECK_FALSE(flock_would_get(lock.path()));
  CHECK_THROWS_AS(brief.release(), LockLostException);
  CHECK(flock_would_get(lock.path()));
}
