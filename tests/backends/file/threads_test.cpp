// SPDX-License-Identifier: MIT
// Threads, sharing lock objects or not. The race detector reads along.
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

TEST_CASE("threads with a lock object each exclude each other", "[file]") {
  const Ground ground;
  int inside = 0, total = 0;
  std::atomic<int> overlaps{0};
  in_threads(4, [&](int t) {
    auto lock = ground.lock("x", {.expire = t % 2 ? never : Duration{1h}, .timeout = forever});
    for (int i = 0; i < 300; ++i) {
      lock.acquire();
      overlaps += inside++ != 0;
      ++total;
      --inside;
      lock.release();
    }
  });
  CHECK(overlaps == 0);
  CHECK(total == 4 * 300);
}

TEST_CASE("threads that share a lock object exclude each other", "[file]") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  auto lock = ground.lock("x", {.expire = expire, .timeout = forever});
  int inside = 0, total = 0;
  std::atomic<int> overlaps{0};
  in_threads(4, [&](int) {
    for (int i = 0; i < 300; ++i) {
      lock.acquire();
      overlaps += inside++ != 0;
      ++total;
      --inside;
      lock.release();
    }
  });
  CHECK(overlaps == 0);
  CHECK(total == 4 * 300);
}

TEST_CASE("every verb may be called by any thread while others acquire and release", "[file]") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  auto lock = ground.lock("x", {.expire = expire, .timeout = forever});
  std::atomic<int> working{2}, strange{0};
  in_threads(4, [&](int t) {
    if (t < 2) {
      for (int i = 0; i < 400; ++i) {
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

TEST_CASE("any thread may release what another has acquired", "[file]") {
  const Ground ground;
  auto lock = ground.lock(), other = ground.lock();
  lock.acquire();
  std::thread{[&] { lock.release(); }}.join();
  CHECK(other.try_acquire());
}

TEST_CASE("a lock outlives the thread that acquired it, and the one that first opened the store", "[file][process]") {
  const Ground ground;
  Child holder{[&] {
    std::unique_ptr<FileLock> lock;
    std::thread{[&] {
      lock = std::make_unique<FileLock>("x", Options{}, ground.store);
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

TEST_CASE("a death is noticed soon though the thread that first opened the store is long gone", "[file][process]") {
  const Ground ground;
  Pipe ready;
  Child holder{[&] {
    std::unique_ptr<FileLock> lock;
    std::thread{[&] { lock = std::make_unique<FileLock>("x", Options{}, ground.store); }}.join();
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
