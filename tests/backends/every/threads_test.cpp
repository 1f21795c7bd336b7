// SPDX-License-Identifier: MIT
// Threads, whatever the store, sharing lock objects or not, and threads that end while they hold. The race detector reads along.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ground.hpp"

using namespace ground;

namespace {

void in_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) threads.emplace_back([&, t] { body(t); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("threads with a lock object each exclude each other") {
  const Ground ground;
  int inside = 0, total = 0;
  std::atomic<int> overlaps{0};
  in_threads(4, [&](int t) {
    auto lock = ground.lock("x", {.expire = t % 2 ? never : Duration{1h}, .timeout = forever});
    for (int i = 0; i < kPairs; ++i) {
      lock.acquire();
      overlaps += inside++ != 0;
      ++total;
      --inside;
      lock.release();
    }
  });
  CHECK(overlaps == 0);
  CHECK(total == 4 * kPairs);
}

TEST_CASE("threads that share a lock object exclude each other") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  auto lock = ground.lock("x", {.expire = expire, .timeout = forever});
  int inside = 0, total = 0;
  std::uint64_t last = 0;
  std::atomic<int> overlaps{0}, backwards{0};
  in_threads(4, [&](int t) {
    for (int i = 0; i < kPairs; ++i) {
      if (t == 3) {
        while (!lock.try_acquire()) std::this_thread::yield();
      } else {
        lock.acquire();
      }
      overlaps += inside++ != 0;
      const std::uint64_t fence = lock.fence();
      backwards += fence <= last;
      last = fence;
      ++total;
      --inside;
      lock.release();
    }
  });
  CHECK(overlaps == 0);
  CHECK(backwards == 0);
  CHECK(total == 4 * kPairs);
}

TEST_CASE("every verb may be called by any thread while others acquire and release") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  auto lock = ground.lock("x", {.expire = expire, .timeout = forever});
  std::atomic<int> working{2}, strange{0};
  in_threads(4, [&](int t) {
    if (t < 2) {
      for (int i = 0; i < kPairs / 2; ++i) {
        lock.acquire();
        std::this_thread::yield();
        lock.unlock();
      }
      --working;
      return;
    }
    while (working) {
      try {
        (void)lock.held();
        (void)lock.locked();
        (void)lock.holder();
        (void)lock.inheritable();
        if (t == 2) (void)lock.renew();
        (void)lock.fence();
        (void)lock.abandoned();
      } catch (const LockNotHeldException&) {
      } catch (const std::exception& e) {
        ++strange;
        std::fprintf(stderr, "strange: %s\n", e.what());
      }
    }
  });
  CHECK(strange == 0);
  lock.acquire();
  CHECK_NOTHROW(lock.release());
}

TEST_CASE("threads that share an object whose leases run out are each told once of what they lost") {
  const Ground ground;
  std::atomic<int> told{0};
  std::atomic<std::uint64_t> last{0};
  std::atomic<int> granted{0};
  {
    auto shared = ground.lock("x", {.expire = 1ms, .timeout = forever, .on_lost = [&](const LockException&) { ++told; }});
    in_threads(3, [&](int) {
      for (int i = 0; i < 60; ++i) {
        shared.acquire();
        ++granted;
        try {
          const std::uint64_t fence = shared.fence();
          // Another thread's hold of the same object may be read here, never an older one.
          std::uint64_t before = last.load();
          while (before < fence && !last.compare_exchange_weak(before, fence)) {
          }
        } catch (const LockNotHeldException&) {
        }
        if (i % 3 == 0) std::this_thread::sleep_for(1500us);
        shared.unlock();
      }
    });
  }
  CHECK(told.load() <= granted.load());
  CHECK(told.load() > 0);
  auto after = ground.lock("x", {.timeout = kPatience});
  after.acquire();
  CHECK(after.fence() > last.load());
}

TEST_CASE("any thread may release what another has acquired") {
  const Ground ground;
  auto lock = ground.lock(), other = ground.lock();
  lock.acquire();
  std::thread{[&] { lock.release(); }}.join();
  CHECK(other.try_acquire());
}

TEST_CASE("a lock outlives the thread that acquired it, and the one that first opened the store", "[process]") {
  const Ground ground;
  Child holder{[&] {
    std::unique_ptr<StoreLock> lock;
    std::thread{[&] {
      lock = std::make_unique<StoreLock>("x", Options{}, ground.client);
      lock->acquire();
    }}.join();
    Child other{[&] { return ground.lock().try_acquire() || ground.lock().try_acquire_for(20ms) ? 1 : 0; }};
    if (other.wait() != Exit{0, 0}) return 1;
    if (!lock->renew()) return 2;
    lock->release();
    return 0;
  }};
  CHECK(holder.wait() == Exit{0, 0});
}

TEST_CASE("waiters wait on for a holder whose acquiring thread has ended, and have the lock when it is let go", "[process]") {
  const Ground ground;
  Pipe ready, go, refused;
  Child holder{[&] {
    auto lock = ground.lock();
    std::thread{[&] { lock.acquire(); }}.join();
    ready.tell();
    if (!go.hear()) return 1;
    std::thread{[&] { lock.release(); }}.join();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  const auto look = ground.lock();
  std::vector<Child> waiters;
  for (int i = 0; i < 3; ++i)
    waiters.emplace_back([&] {
      auto lock = ground.lock("x", {.timeout = kPatience, .retry_interval = 1h});
      if (lock.try_acquire_for(100ms)) return 1;
      refused.tell();
      lock.acquire();
      if (lock.abandoned()) return 2;
      lock.release();
      return 0;
    });
  for (Child& waiter : waiters) {
    if (&waiter == &waiters.front()) {
      for (std::size_t i = 0; i < waiters.size(); ++i) REQUIRE(refused.hear());
      // They wait again.
      REQUIRE(eventually([&] { return look.holder()->waiting == std::uint64_t{3}; }));
      go.tell();
      REQUIRE(ready.hear());
    }
    CHECK(waiter.wait() == Exit{0, 0});
  }
}

TEST_CASE("a death is noticed soon though the thread that first opened the store is long gone", "[process]") {
  const Ground ground;
  Pipe ready;
  Child holder{[&] {
    std::unique_ptr<StoreLock> lock;
    std::thread{[&] { lock = std::make_unique<StoreLock>("x", Options{}, ground.client); }}.join();
    lock->acquire();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  auto lock = ground.lock("x", {.timeout = kPatience, .retry_interval = 1h});
  const auto look = ground.lock();
  std::atomic<bool> abandoned{false};
  std::thread waiter{[&] {
    lock.acquire();
    abandoned = lock.abandoned();
  }};
  REQUIRE(eventually([&] { return look.holder()->waiting == std::uint64_t{1}; }));
  holder.kill();
  waiter.join();
  CHECK(abandoned);
}

TEST_CASE("threads that come, lock and go leave nothing behind that keeps the next from locking", "[process]") {
  const Ground ground;
  Child child{[&] {
    auto other = ground.lock("other");
    for (int i = 0; i < 300; ++i) {
      // Every thread finds the life word of a thread that is gone.
      std::thread{[&] {
        auto lock = ground.lock("x", {.expire = i % 2 ? never : Duration{1h}});
        lock.acquire();
        if (i % 3) lock.release();
      }}.join();
      if (!other.try_acquire()) return 1;
      other.release();
    }
    return ground.lock().try_acquire() ? 0 : 2;
  }};
  CHECK(child.wait() == Exit{0, 0});
}
