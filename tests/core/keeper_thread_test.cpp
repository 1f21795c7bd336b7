// SPDX-License-Identifier: MIT
// The keeper's thread: that it is gone when it is to be, and that nothing waits for ever, whatever its callbacks and other threads do.
#include <sherlock/keeper.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "keeper_ground.hpp"
#include "support/asleep.hpp"
#include "support/counters.hpp"
#include "support/says.hpp"

using namespace keeper_ground;
using support::Child;
using support::Exit;
using support::says;

namespace {

// What a thread is doing in a hook of the store until the test lets it go on.
class Stay {
 public:
  void stay() {
    std::unique_lock guard{mutex_};
    here_ = true;
    changed_.notify_all();
    changed_.wait_for(guard, support::kPatience, [this] { return leave_; });
    here_ = false;
  }
  bool reached() {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, support::kPatience, [this] { return here_; });
  }
  bool here() {
    const std::lock_guard guard{mutex_};
    return here_;
  }
  void leave() {
    const std::lock_guard guard{mutex_};
    leave_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool here_ = false, leave_ = false;
};

// A thread that was joined may be seen for a moment yet.
bool alone(std::size_t threads) {
  return becomes([&] { return support::threads() == threads; });
}

}  // namespace

TEST_CASE("the thread is gone before the store is told of a release, and before whatever ends the hold returns", "[keeper][threads]") {
  for (const Threads threads : kBoth) {
    const std::string way = GENERATE("release", "unlock", "release by another thread", "the lock's end", "the keeper's end");
    CAPTURE(way, static_cast<int>(threads));
    Ground g;
    std::atomic<int> renewing{0}, at_release{-1};
    std::atomic<bool> ending{false};
    g.store.on_renew = [&](const Claim&) {
      ++renewing;
      CHECK(becomes([&] { return ending.load(); }));
      std::this_thread::sleep_for(5ms);  // the test is weaker, not wrong, when this is too short
      --renewing;
    };
    g.store.on_release = [&](const Claim&) { at_release = renewing.load(); };
    auto lock = std::make_unique<TestLock>(g.store, g.options(30s), threads);
    lock->acquire();
    const std::size_t before = support::threads();
    std::optional<Keeper> keeper{*lock};
    CHECK(support::threads() == before + 1);
    REQUIRE(g.clock.asleep());
    g.clock.advance(10s);
    REQUIRE(becomes([&] { return renewing == 1; }));
    ending = true;
    if (way == "release") lock->release();
    if (way == "unlock") lock->unlock();
    if (way == "release by another thread") std::thread{[&] { lock->release(); }}.join();
    if (way == "the lock's end") lock.reset();
    if (way == "the keeper's end") keeper.reset();
    CHECK(renewing == 0);
    CHECK(alone(before));
    CHECK(g.store.renews == 1);
    CHECK(g.store.taken() == (way == "the keeper's end"));
    CHECK(at_release == (way == "the keeper's end" ? -1 : 0));
    if (lock && way == "the keeper's end") CHECK_NOTHROW(lock->release());
    CHECK(g.told == 0);
  }
}

TEST_CASE("a release waits for a renewal that is on its way", "[keeper][threads]") {
  Ground g;
  Stay renewal;
  g.store.on_renew = [&](const Claim&) { renewal.stay(); };
  TestLock lock{g.store, g.options(30s)};
  lock.acquire();
  const Keeper keeper{lock};
  REQUIRE(g.clock.asleep());
  g.clock.advance(10s);
  REQUIRE(renewal.reached());
  std::atomic<bool> released{false};
  std::thread releaser{[&] {
    lock.release();
    CHECK_FALSE(renewal.here());
    released = true;
  }};
  std::this_thread::sleep_for(std::chrono::milliseconds{5});
  CHECK_FALSE(released);
  CHECK(g.store.releases == 0);
  renewal.leave();
  releaser.join();
  CHECK(released);
  CHECK(g.told == 0);
}

TEST_CASE("a lock that was acquired anew over the hold that was kept takes the keeper of that along when it ends", "[keeper][threads]") {
  Ground g;
  auto lock = std::make_unique<TestLock>(g.store, g.options(30s));
  lock->acquire();
  const std::size_t before = support::threads();
  const Keeper keeper{*lock};
  REQUIRE(g.clock.asleep());
  g.store.free();
  REQUIRE(lock->try_acquire());
  CHECK(g.told == 1);
  CHECK(keeper.stop_token().stop_requested());
  lock.reset();
  CHECK(alone(before));
  CHECK_FALSE(g.store.taken());
}

TEST_CASE("a release that the store refuses leaves the hold held, without a keeper", "[keeper][threads]") {
  Ground g;
  g.store.on_release = unreachable;
  TestLock lock{g.store, g.options(30s)};
  lock.acquire();
  std::optional<Keeper> keeper{lock};
  CHECK_THROWS_AS(lock.release(), BackendException);
  CHECK(g.clock.asleep(0));
  CHECK(lock.held());
  keeper.emplace(lock);
  REQUIRE(g.clock.asleep());
  REQUIRE(g.pass(10s));
  CHECK(g.store.renews == 1);
  g.store.on_release = nullptr;
  CHECK_NOTHROW(lock.release());
  CHECK(g.told == 0);
}

// In the keeper's thread, which cannot wait for itself.
TEST_CASE("on_lost may release the lock, acquire it anew, and destroy it and its keeper", "[keeper][threads]") {
  const bool by_the_store = GENERATE(false, true);
  const std::string what = GENERATE("nothing", "release", "unlock", "acquire", "wait for it", "destroy the lock", "destroy the keeper", "destroy both", "keep anew");
  CAPTURE(by_the_store, what);
  Ground g;
  if (!by_the_store) g.store.on_renew = unreachable;
  std::unique_ptr<TestLock> lock;
  std::optional<Keeper> keeper, second;
  std::atomic<bool> done{false};
  std::atomic<int> told{0};
  std::string wrong;
  const auto act = [&](const LockException&) {
    ++told;
    try {
      if (lock->held()) wrong += "still held; ";
      if (!keeper->stop_token().stop_requested()) wrong += "the token does not know; ";
      if (what == "release" || what == "acquire") try {
          lock->release();
          wrong += "a good release; ";
        } catch (const LockLostException&) {
        }
      if (what == "unlock") lock->unlock();
      if (what == "acquire" && !lock->try_acquire()) wrong += "not acquired; ";
      if (what == "wait for it" || what == "keep anew") lock->acquire();
      if (what == "keep anew") second.emplace(*lock);
      if (what == "destroy the lock") lock.reset();
      if (what == "destroy the keeper") keeper.reset();
      if (what == "destroy both") {
        lock.reset();
        keeper.reset();
      }
    } catch (const std::exception& e) {
      wrong += e.what();
    }
    done = true;
  };
  lock = std::make_unique<TestLock>(g.store, Options{.expire = 30s, .on_lost = act});
  lock->acquire();
  keeper.emplace(*lock);
  REQUIRE(g.clock.asleep());
  if (by_the_store) g.store.free();
  g.clock.advance(by_the_store ? 10s : 29s);
  REQUIRE(becomes([&] { return done.load(); }));
  CHECK(g.clock.asleep(second ? 1 : 0));
  CHECK(wrong == "");
  if (lock) CHECK(lock->held() == (what == "acquire" || what == "wait for it" || what == "keep anew"));
  if (second) {
    REQUIRE(g.pass(10s));
    CHECK(lock->held());
    second.reset();
  }
  if (lock && lock->held()) CHECK_NOTHROW(lock->release());
  if (what == "nothing") CHECK_THROWS_AS(lock->release(), LockLostException);
  keeper.reset();
  lock.reset();
  CHECK(told == 1);
}

TEST_CASE("so may what is told by the token, and of failures", "[keeper][threads]") {
  const bool by_token = GENERATE(false, true);
  const std::string what = GENERATE("release", "destroy the lock", "destroy the keeper", "destroy both");
  CAPTURE(by_token, what);
  Ground g;
  g.store.on_renew = unreachable;
  std::unique_ptr<TestLock> lock;
  std::optional<Keeper> keeper;
  std::atomic<bool> done{false};
  const auto act = [&] {
    if (done) return;
    if (what == "release" && by_token) CHECK_THROWS_AS(lock->release(), LockLostException);
    if (what == "release" && !by_token) CHECK_NOTHROW(lock->release());
    if (what != "release" && what != "destroy the keeper") lock.reset();
    if (what == "destroy the keeper" || what == "destroy both") keeper.reset();
    done = true;
  };
  lock = std::make_unique<TestLock>(g.store, g.options(30s));
  lock->acquire();
  keeper.emplace(*lock, by_token ? KeeperOptions{} : KeeperOptions{.on_failure = [&](const LockException&) { act(); }});
  std::optional<std::stop_callback<std::function<void()>>> callback;
  if (by_token) callback.emplace(keeper->stop_token(), act);
  REQUIRE(g.clock.asleep());
  g.clock.advance(by_token ? 29s : 10s);
  REQUIRE(becomes([&] { return done.load(); }));
  CHECK(g.clock.asleep(0));
  keeper.reset();
  lock.reset();
  CHECK(becomes([&] { return g.told == (by_token ? 1 : 0); }));
}

TEST_CASE("threads that release, and end the keeper, while on_lost does so too, all come back", "[keeper][threads]") {
  for (int round = 0; round < 30; ++round) {
    Ground g;
    g.store.on_renew = unreachable;
    std::atomic<int> told{0}, good{0}, refused{0};
    TestLock* used = nullptr;
    const auto release = [&] {
      try {
        used->release();
        ++good;
      } catch (const LockLostException&) {
        ++good;
      } catch (const LockNotHeldException&) {
        ++refused;
      }
    };
    TestLock lock{g.store, {.expire = 30s, .on_lost = [&](const LockException&) {
                             ++told;
                             release();
                           }}};
    used = &lock;
    lock.acquire();
    std::optional<Keeper> keeper{lock};
    REQUIRE(g.clock.asleep());
    std::vector<std::thread> others;
    others.emplace_back([&] { g.clock.advance(29s); });
    others.emplace_back(release);
    others.emplace_back([&] { keeper.reset(); });
    for (auto& other : others) other.join();
    CHECK(g.clock.asleep(0));
    CHECK(good == 1);
    CHECK(told + 1 == good + refused);
    CHECK(told <= 1);
  }
}

TEST_CASE("of two threads that keep one hold at once, one does", "[keeper][threads]") {
  TestStore store;
  TestLock lock{store, {.expire = 1h}};
  int kept_twice = 0, kept_by_nobody = 0;
  std::barrier both{2};
  std::atomic<int> keepers{0};
  const auto keep = [&] {
    std::optional<Keeper> keeper;
    both.arrive_and_wait();
    try {
      keeper.emplace(lock);
      ++keepers;
    } catch (const ConfigurationException&) {
    }
    both.arrive_and_wait();  // until then the other one sees it
  };
  constexpr int kRounds = 2000;
  lock.acquire();
  std::thread other{[&] {
    for (int round = 0; round < kRounds; ++round) {
      keep();
      both.arrive_and_wait();
    }
  }};
  for (int round = 0; round < kRounds; ++round) {
    keep();
    both.arrive_and_wait();
    kept_twice += keepers == 2;
    kept_by_nobody += keepers == 0;
    keepers = 0;
  }
  other.join();
  CHECK(kept_twice == 0);
  CHECK(kept_by_nobody == 0);
  CHECK_NOTHROW(lock.release());
}

TEST_CASE("a lock that many threads acquire, keep and release excludes them", "[keeper][threads]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    TestLock lock{store, {.expire = 1min, .timeout = support::kPatience, .retry_interval = 1ms}, threads};
    long counter = 0;  // not atomic: ThreadSanitizer looks at it
    std::atomic<int> failures{0};
    std::vector<std::thread> workers;
    for (int worker = 0; worker < 4; ++worker)
      workers.emplace_back([&, worker] {
        for (int i = 0; i < 50; ++i) try {
            lock.acquire();
            std::optional<Keeper> keeper{lock};
            ++counter;
            if (worker % 2) keeper.reset();
            lock.release();
          } catch (const LockException&) {
            ++failures;
          }
      });
    for (auto& worker : workers) worker.join();
    CHECK(counter == 200);
    CHECK(failures == 0);
    CHECK_FALSE(store.taken());
  }
}

TEST_CASE("where no thread can be started the hold stays as it was, and an exception says so", "[keeper][process]") {
  TestStore store;
  Child child{[&] {
    TestLock lock{store, {.expire = 1h}};
    lock.acquire();
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 10;
    const rlimit none{0, 0};
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) return 11;
    try {
      const Keeper keeper{lock};
      return 1;
    } catch (const BackendException& e) {
      if (e.code() != Errc::system || e.lock() != "x" || std::string{e.what()}.find("thread") == std::string::npos) return 2;
    }
    if (!lock.held() || !lock.renew()) return 3;
    lock.release();
    return store.taken() ? 4 : 0;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("a forked child has no keeper, and what it destroys is its own", "[keeper][process]") {
#if defined(__SANITIZE_THREAD__)
  constexpr bool kSanitized = true;  // it starts no thread in the child of a process with several, and takes one that had ended for a leak
#else
  constexpr bool kSanitized = false;
#endif
  for (const bool thread_gone : {false, true}) {
    if (kSanitized && thread_gone) continue;
    Ground g;
    std::optional<Keeper> own;
    auto lock = std::make_unique<TestLock>(g.store, g.options(30s));
    lock->acquire();
    const std::size_t threads = support::threads();
    auto keeper = std::make_unique<Keeper>(*lock);
    REQUIRE(g.clock.asleep());
    if (thread_gone) {
      g.store.on_renew = unreachable;
      g.clock.advance(29s);
      REQUIRE(becomes([&] { return g.told == 1; }));
    }
    REQUIRE((thread_gone ? alone(threads) : support::others_asleep()));
    const int told = g.told;
    Child child{[&] {
      support::FakeClock clock{support::FakeClock::Sleepers::wait};  // that of the parent has a sleeper who is not here, and is waited for
      if (lock->held()) return 1;
      keeper.reset();
      lock->unlock();
      if (g.store.releases != 0 || g.told != told) return 2;
      g.store.free();  // as if the parent had died
      if (!lock->try_acquire()) return 3;
      if (!kSanitized) own.emplace(*lock);
      if (!lock->held() || (own && !clock.asleep())) return 4;
      lock->release();
      lock.reset();
      return g.told == told ? 0 : 5;
    }};
    Exit exit;
    CHECK_NOTHROW(exit = child.wait());
    CHECK(exit == Exit{0, 0});
    if (thread_gone) continue;
    REQUIRE(g.pass(10s));
    CHECK(g.store.renews == 1);
    CHECK(lock->held());
    CHECK_NOTHROW(lock->release());
  }
}
