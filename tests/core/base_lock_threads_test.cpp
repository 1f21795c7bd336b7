// SPDX-License-Identifier: MIT
// Threads that share one lock object. On the kernel's clock: what is asserted is order, never how long something took.
#include <sherlock/base_lock.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "support/asleep.hpp"
#include "support/becomes.hpp"
#include "support/fake_clock.hpp"
#include "support/subprocess.hpp"
#include "test_lock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::becomes;
using Threads = TestLock::Threads;

namespace {

constexpr auto kLong = support::kPatience;

}  // namespace

TEST_CASE("threads that share an object exclude each other", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    TestLock lock{store, {.timeout = kLong, .retry_interval = 1ms}, threads};
    long counter = 0;  // not atomic: ThreadSanitizer looks at it
    std::atomic<int> inside{0}, overlaps{0}, failures{0};
    std::vector<std::thread> workers;
    for (int worker = 0; worker < 4; ++worker)
      workers.emplace_back([&, worker] {
        for (int i = 0; i < 100; ++i) {
          try {
            if (worker % 2)
              lock.acquire();
            else
              while (!lock.try_acquire()) std::this_thread::yield();
            if (++inside != 1) ++overlaps;
            ++counter;
            --inside;
            if (i % 2)
              lock.release();
            else
              lock.unlock();
          } catch (const LockException&) {
            ++failures;
          }
        }
      });
    for (auto& worker : workers) worker.join();
    CHECK(counter == 400);
    CHECK(overlaps == 0);
    CHECK(failures == 0);
    CHECK_FALSE(store.taken());
    if (threads == Threads::one_at_a_time) CHECK(store.most_busy == 1);
  }
}

TEST_CASE("threads with an object each exclude each other", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    long counter = 0;
    std::vector<std::thread> workers;
    for (int worker = 0; worker < 4; ++worker)
      workers.emplace_back([&] {
        TestLock lock{store, {.timeout = kLong, .retry_interval = 1ms}, threads};
        for (int i = 0; i < 100; ++i) {
          const std::lock_guard guard{lock};
          ++counter;
        }
      });
    for (auto& worker : workers) worker.join();
    CHECK(counter == 400);
  }
}

TEST_CASE("any thread may release and renew what another one acquired", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    TestLock lock{store, {}, threads};
    std::thread{[&] { lock.acquire(); }}.join();  // the thread that acquired has ended: stays held
    CHECK(lock.held());
    CHECK(lock.renew());
    std::thread{[&] { lock.release(); }}.join();
    CHECK_FALSE(lock.held());
    CHECK_FALSE(store.taken());
  }
}

TEST_CASE("of threads that release one hold at the same time, one does, and the others are told so", "[base_lock][threads]") {
  for (const Threads threads : kBoth)
    for (int round = 0; round < 200; ++round) {
      TestStore store;
      TestLock lock{store, {}, threads};
      lock.acquire();
      std::atomic<int> ready{0}, good{0}, refused{0};
      std::vector<std::thread> releasers;
      for (int i = 0; i < 2; ++i)
        releasers.emplace_back([&] {
          ++ready;
          while (ready < 2) std::this_thread::yield();
          try {
            lock.release();
            ++good;
          } catch (const LockException&) {
            ++refused;
          }
        });
      for (auto& releaser : releasers) releaser.join();
      REQUIRE(good == 1);
      REQUIRE(refused == 1);
      REQUIRE_FALSE(store.taken());
    }
}

TEST_CASE("an answer that comes late does not end the hold that another thread has meanwhile", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    CAPTURE(static_cast<int>(threads));
    TestStore store;
    std::atomic<int> told{0};
    TestLock lock{store, {.on_lost = [&](const LockException&) { ++told; }}, threads};
    lock.acquire();
    store.on_renew = [&](const Claim&) {
      store.on_renew = nullptr;
      std::thread{[&] {
        lock.release();
        lock.acquire();
      }}.join();
    };
    try {
      (void)lock.renew();  // what it was to renew was released in good order; the answer is anybody's guess
    } catch (const LockNotHeldException&) {
    }
    CHECK(lock.held());
    CHECK(told == 0);
    CHECK_NOTHROW(lock.release());
    CHECK_FALSE(store.taken());
  }
}

TEST_CASE("of threads that find one hold lost at the same time, one tells", "[base_lock][threads]") {
  for (const Threads threads : kBoth)
    for (int round = 0; round < 50; ++round) {
      TestStore store;
      std::atomic<int> told{0};
      TestLock lock{store, {.on_lost = [&](const LockException&) { ++told; }}, threads};
      lock.acquire();
      store.free();
      std::vector<std::thread> finders;
      for (int i = 0; i < 4; ++i)
        finders.emplace_back([&, i] {
          try {
            if (i % 2)
              (void)lock.renew();
            else
              lock.release();
          } catch (const LockException&) {
          }
        });
      for (auto& finder : finders) finder.join();
      CHECK(told == 1);
    }
}

TEST_CASE("all threads that wait with one object get their turn", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    store.take_by_stranger();
    TestLock lock{store, {.timeout = kLong, .retry_interval = 1ms}, threads};
    std::atomic<int> asking{0}, granted{0};
    std::vector<std::thread> waiters;
    for (int i = 0; i < 4; ++i)
      waiters.emplace_back([&] {
        ++asking;
        lock.acquire();
        ++granted;
        lock.release();
      });
    CHECK(becomes([&] { return asking == 4 && store.waits > 3; }));
    CHECK(granted == 0);
    store.free();
    for (auto& waiter : waiters) waiter.join();
    CHECK(granted == 4);
  }
}

TEST_CASE("one thread of an object sleeps in the store at a time", "[base_lock][threads]") {
  TestStore store;
  store.take_by_stranger();
  std::atomic<int> sleeping{0}, most{0};
  TestLock lock{store, {.timeout = 100ms, .retry_interval = 1ms}, GENERATE(Threads::one_at_a_time, Threads::store_excludes)};
  store.on_wait = [&](const Claim&) {
    if (++sleeping > most) most = sleeping.load();
    std::this_thread::yield();
    --sleeping;
  };
  for (int round = 0; round < 10 && most == 0; ++round) {  // a machine that held all of them up for their time lets nobody wait
    std::vector<std::thread> waiters;
    for (int i = 0; i < 4; ++i) waiters.emplace_back([&] { (void)lock.try_acquire_for(100ms); });
    for (auto& waiter : waiters) waiter.join();
  }
  CHECK(most == 1);
}

TEST_CASE("a timeout is kept behind another thread that waits with the same object", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    store.take_by_stranger();
    TestLock lock{store, {.timeout = forever, .retry_interval = 1h}, threads};
    std::stop_source stop;
    std::atomic<bool> done{false};
    std::thread first{[&] {
      CHECK_THROWS_AS(lock.acquire(stop.get_token()), LockCancelledException);
      done = true;
    }};
    CHECK(becomes([&] { return store.waits > 0; }));
    const auto before = std::chrono::steady_clock::now();
    CHECK_FALSE(lock.try_acquire_for(20ms));
    CHECK(std::chrono::steady_clock::now() - before >= 20ms);
    CHECK_FALSE(done);
    stop.request_stop();
    first.join();
  }
}

TEST_CASE("a try beside a thread that waits with the same object does not wait for it", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    store.take_by_stranger();
    TestLock lock{store, {.timeout = forever, .retry_interval = 1h}, threads};
    std::stop_source stop;
    std::atomic<bool> done{false};
    std::thread waiter{[&] {
      CHECK_THROWS_AS(lock.acquire(stop.get_token()), LockCancelledException);
      done = true;
    }};
    CHECK(becomes([&] { return store.waits > 0; }));
    for (int i = 0; i < 20; ++i) CHECK_FALSE(lock.try_acquire());  // BackendException after 1 s, were it to wait
    CHECK(store.acquires >= 21);
    CHECK_FALSE(done);

    CHECK(lock.locked());
    CHECK(lock.holder());
    CHECK_FALSE(lock.held());
    CHECK_THROWS_AS(lock.release(), LockNotHeldException);
    CHECK_FALSE(done);
    stop.request_stop();
    waiter.join();
  }
}

TEST_CASE("a try beside a waiting thread is granted when the lock is free, and the waiter waits on", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    store.take_by_stranger();
    TestLock lock{store, {.timeout = forever, .retry_interval = 1h}, threads};
    std::stop_source stop;
    std::atomic<bool> done{false};
    std::thread waiter{[&] {
      CHECK_THROWS_AS(lock.acquire(stop.get_token()), LockCancelledException);
      done = true;
    }};
    CHECK(becomes([&] { return store.waits > 0; }));
    store.free();  // this store wakes nobody
    CHECK(lock.try_acquire());
    CHECK(lock.held());
    CHECK_FALSE(done);
    stop.request_stop();
    waiter.join();
    CHECK(lock.held());
    CHECK_NOTHROW(lock.release());
  }
}

TEST_CASE("a stop reaches a thread at once, at whatever place in the queue", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    store.take_by_stranger();
    TestLock lock{store, {.timeout = forever, .retry_interval = 1h}, threads};
    std::stop_source stop_first, stop_second;
    std::atomic<int> order{0}, first_ended{0}, second_ended{0}, asking{0};
    const auto wait_with = [&](std::stop_source& stop, std::atomic<int>& ended) {
      ++asking;
      CHECK_THROWS_AS(lock.acquire(stop.get_token()), LockCancelledException);
      ended = ++order;
    };
    std::thread first{[&] { wait_with(stop_first, first_ended); }};
    CHECK(becomes([&] { return store.waits > 0; }));
    std::thread second{[&] { wait_with(stop_second, second_ended); }};
    CHECK(becomes([&] { return store.acquires >= 2; }));
    stop_second.request_stop();
    second.join();
    CHECK(second_ended == 1);
    stop_first.request_stop();
    first.join();
    CHECK(first_ended == 2);
  }
}

TEST_CASE("a release by one thread reaches the others that wait with the object", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    TestLock lock{store, {.timeout = forever, .retry_interval = 1ms}, threads};
    lock.acquire();
    std::thread waiter{[&] { lock.acquire(); }};
    CHECK(becomes([&] { return store.waits > 0; }));
    CHECK(lock.held());
    const auto fence = lock.fence();
    lock.release();
    waiter.join();
    CHECK(lock.held());
    CHECK(lock.fence() > fence);
  }
}

TEST_CASE("a try that gets no answer while another thread's request is with the store is an error, not `false`", "[base_lock][threads]") {
  TestStore store;
  TestLock lock{store};
  std::mutex mutex;
  std::condition_variable changed;
  bool asked = false, answer = false;
  store.on_acquire = [&](const Claim&) {
    std::unique_lock guard{mutex};
    asked = true;
    changed.notify_all();
    changed.wait_for(guard, support::kPatience, [&] { return answer; });
  };
  std::thread slow{[&] { (void)lock.try_acquire(); }};
  {
    std::unique_lock guard{mutex};
    REQUIRE(changed.wait_for(guard, support::kPatience, [&] { return asked; }));
  }
  try {
    (void)lock.try_acquire();
    FAIL_CHECK("nothing was thrown");
  } catch (const BackendException& e) {
    CHECK(e.code() == Errc::busy);
  }
  {
    const std::lock_guard guard{mutex};
    answer = true;
  }
  changed.notify_all();
  slow.join();
  CHECK(lock.held());
}

TEST_CASE("a waiter keeps its deadline, however often other threads of its object try", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    CAPTURE(static_cast<int>(threads));
    TestStore store;
    store.take_by_stranger();
    TestLock lock{store, {.retry_interval = 1ms}, threads};
    std::atomic<bool> done{false};
    std::atomic<int> gave_up{0};
    std::vector<std::thread> triers;
    for (int i = 0; i < 3; ++i)
      triers.emplace_back([&] {
        const auto enough = std::chrono::steady_clock::now() + support::kPatience;
        const auto granted = [&] {
          try {
            return lock.try_acquire();
          } catch (const BackendException&) {  // this process stood still for the second that a try waits for its turn
            return false;
          }
        };
        while (!done)
          if (granted() || std::chrono::steady_clock::now() >= enough) {
            ++gave_up;
            return;
          }
      });
    CHECK_FALSE(lock.try_acquire_for(50ms));
    done = true;
    for (auto& trier : triers) trier.join();
    CHECK(gave_up == 0);
  }
}

// A mistake of the program, and an exception for whoever makes it; but what it touches must be whole afterwards.
TEST_CASE("a thread that releases what it should not leaves no lock behind that nobody can release", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    CAPTURE(static_cast<int>(threads));
    TestStore store;
    TestLock lock{store, {.retry_interval = 1ms}, threads};
    std::atomic<bool> enough{false};
    std::atomic<int> timeouts{0}, others{0};
    const auto try_release = [&] {
      try {
        lock.release();
      } catch (const LockNotHeldException&) {
      } catch (const LockLostException&) {
      } catch (const LockException&) {
        ++others;
      }
    };
    std::vector<std::thread> workers;
    for (int i = 0; i < 2; ++i)
      workers.emplace_back([&] {
        for (int round = 0; round < 3000 && timeouts == 0; ++round) {
          if (!lock.try_acquire_for(support::kPatience)) ++timeouts;
          try_release();
        }
      });
    std::thread meddler{[&] {
      while (!enough) try_release();
    }};
    for (auto& worker : workers) worker.join();
    enough = true;
    meddler.join();
    try_release();
    CHECK(timeouts == 0);
    CHECK(others == 0);
    CHECK_FALSE(store.taken());
    CHECK(lock.try_acquire());
  }
}

TEST_CASE("a thread that has told of a loss while it waited is not kept past its timeout by one that waits with the object meanwhile", "[base_lock][threads]") {
  for (const Threads threads : kBoth) {
    CAPTURE(static_cast<int>(threads));
    support::FakeClock clock{support::FakeClock::Sleepers::wait};
    TestStore store;
    std::atomic<bool> done{false};
    TestLock lock{store, {.expire = 10s, .timeout = forever, .retry_interval = 15s, .on_lost = [&](const LockException&) {
                    CHECK(becomes([&, before = store.waits.load()] { return store.waits > before; }));  // the other thread has the place in the queue
                  }}, threads};
    lock.acquire();
    std::thread first{[&] {
      CHECK_FALSE(lock.try_acquire_for(15s + 50ms));
      done = true;
    }};
    CHECK(clock.asleep());
    std::stop_source stop;
    std::thread second{[&] { CHECK_THROWS_AS(lock.acquire(stop.get_token()), LockCancelledException); }};
    CHECK(becomes([&] { return store.acquires >= 3; }));
    CHECK(support::others_asleep());  // the second one behind the first
    store.take_by_stranger();
    clock.advance(15s);
    CHECK(becomes([&] {
      clock.advance(10ms);
      return done.load();
    }));
    stop.request_stop();
    first.join();
    second.join();
  }
}
