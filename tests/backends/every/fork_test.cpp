// SPDX-License-Identifier: MIT
// Children of a holder, whatever the store. Each backend's tests have this file, and a ground.hpp that says where its locks are.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ground.hpp"
#include "support/asleep.hpp"

using namespace ground;

namespace {

struct Deed {
  const char* what;
  std::function<int(std::unique_ptr<StoreLock>&)> act;  // in the child; the exit code
  Exit end{0, 0};
};

const std::vector<Deed> kDeeds{
    {"asks every verb", [](std::unique_ptr<StoreLock>& lock) {
       if (lock->held()) return 1;
       if (!throws<LockNotHeldException>([&] { lock->release(); })) return 2;
       if (!throws<LockNotHeldException>([&] { (void)lock->renew(); })) return 3;
       if (!throws<LockNotHeldException>([&] { (void)lock->fence(); })) return 4;
       if (!throws<LockNotHeldException>([&] { (void)lock->abandoned(); })) return 5;
       if (!lock->inheritable().empty()) return 6;
       if (!lock->locked()) return 7;
       if (lock->holder()->pid != ::getppid()) return 8;
       lock->unlock();
       return 0;
     }},
    {"tries to acquire", [](std::unique_ptr<StoreLock>& lock) { return lock->try_acquire() || lock->try_acquire_for(20ms) ? 1 : 0; }},
    {"destroys the lock", [](std::unique_ptr<StoreLock>& lock) {
       lock.reset();
       return 0;
     }},
    {"uses and destroys the lock", [](std::unique_ptr<StoreLock>& lock) {
       if (lock->try_acquire()) return 1;
       lock.reset();
       return 0;
     }},
    {"ends by _exit", [](std::unique_ptr<StoreLock>&) -> int { ::_exit(0); }},
    {"is killed", [](std::unique_ptr<StoreLock>&) { return ::raise(SIGKILL); }, Exit{-1, SIGKILL}},
    {"crashes", [](std::unique_ptr<StoreLock>&) {
       ::signal(SIGSEGV, SIG_DFL);
       return ::raise(SIGSEGV);
     }, Exit{-1, SIGSEGV}},
    {"forks a child that does all that", [](std::unique_ptr<StoreLock>& lock) {
       Child grandchild{[&] {
         if (!throws<LockNotHeldException>([&] { lock->release(); })) return 1;
         if (lock->try_acquire()) return 2;
         lock.reset();
         return 0;
       }};
       return grandchild.wait() == Exit{0, 0} ? 0 : 1;
     }},
};

}  // namespace

TEST_CASE("whatever a forked child does, its parent holds the lock, and nobody does after the parent's death", "[process]") {
  for (const Deed& deed : kDeeds)
    for (const Duration expire : {never, Duration{1h}}) {
      CAPTURE(deed.what, expire.text());
      const Ground ground;
      auto mine = ground.lock("x", {.timeout = kPatience});
      Pipe ready;
      Child parent{[&] {
        auto lock = std::make_unique<StoreLock>("x", Options{.expire = expire}, ground.client);
        lock->acquire();
        Child child{[&] { return deed.act(lock); }};
        if (child.wait() != deed.end) return ready.tell('n'), 1;
        if (!lock->held() || !lock->renew()) return ready.tell('n'), 2;
        ready.tell('y');
        Child::sleep();
        return 0;
      }};
      REQUIRE(ready.hear() == 'y');
      CHECK_FALSE(mine.try_acquire());
      CHECK(ground.strangers_agree(false));
      parent.kill();
      mine.acquire();
      CHECK(mine.abandoned());
    }
}

TEST_CASE("a child that ends by exit, with all that belongs to it, leaves its parent's lock alone", "[process]") {
  const Ground ground;
  static std::unique_ptr<StoreLock> global;
  Child parent{[&] {
    global = std::make_unique<StoreLock>("x", Options{}, ground.client);
    global->acquire();
    Child child{[&]() -> int {
      ::alarm(0);
      if (global->try_acquire()) return 1;
      std::exit(0);
    }};
    if (child.wait() != Exit{0, 0}) return 1;
    if (!global->renew()) return 2;
    if (ground.lock().try_acquire()) return 3;
    global->release();
    global.reset();
    return 0;
  }};
  CHECK(parent.wait() == Exit{0, 0});
}

TEST_CASE("a child that outlives its parent does not keep the lock, and can have it", "[process]") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  Pipe ready, go, done;
  auto mine = ground.lock("x", {.timeout = kPatience});
  Child parent{[&] {
    auto lock = ground.lock("x", {.expire = expire, .timeout = kPatience});
    lock.acquire();
    Child child{[&] {
      ready.tell();
      if (!go.hear()) return 1;
      try {
        lock.acquire();
        lock.release();
      } catch (...) {
        done.tell('n');
        return 1;
      }
      done.tell('y');
      return 0;
    }};
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  parent.kill();
  CHECK(mine.try_acquire_for(kPatience));
  mine.release();
  go.tell();
  CHECK(done.hear() == 'y');
}

TEST_CASE("a child waits for its parent's lock as everybody does, on the same object even", "[process]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = kPatience}), look = ground.lock();
  lock.acquire();
  Child child{[&] {
    lock.acquire();
    const bool good = lock.held() && !ground.lock().try_acquire();
    lock.release();
    return good ? 0 : 1;
  }};
  REQUIRE(eventually([&] { return look.holder()->waiting == std::uint64_t{1}; }));
  lock.release();
  CHECK(child.wait() == Exit{0, 0});
  CHECK(lock.try_acquire());
}

TEST_CASE("a child forked while other threads are anywhere in a lock can use locks", "[process]") {
  // LLVM 18 and 19 are the first whose sanitizers hold their allocator over a fork (pull requests 75290 and 96600).
  if (playground::kSanitized) return skip("a sanitizer may leave its allocator locked in a child that was forked beside other threads");
  const Ground ground;
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  auto shared = ground.lock("shared", {.timeout = forever});
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      while (!over) {
        shared.acquire();
        shared.release();
        (void)ground.lock("other").locked();
      }
    });
  for (int i = 0; i < 30; ++i) {
    Child child{[&] {
      auto fresh = ground.lock("childs");
      if (!fresh.try_acquire_for(kPatience)) return 1;
      fresh.release();
      if (!shared.try_acquire_for(kPatience)) return 2;
      shared.release();
      return 0;
    }};
    REQUIRE(child.wait() == Exit{0, 0});
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("a child made by raw clone does not hold its parent's locks, and keeps them alive until it ends", "[process]") {
  if (playground::kSanitized) return skip("a sanitizer does not survive a raw clone");
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  auto mine = ground.lock("x", {.timeout = kPatience});
  Pipe ready, go;
  Child parent{[&] {
    auto lock = ground.lock("x", {.expire = expire});
    lock.acquire();
    const long child = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (child == 0) {
      ::alarm(support::kLifetime);
      bool good = !lock.held() && throws<LockNotHeldException>([&] { lock.release(); }) && throws<LockNotHeldException>([&] { (void)lock.renew(); });
      good = good && !lock.try_acquire() && lock.locked() && lock.inheritable().empty();
      lock.unlock();
      ready.tell(good ? 'y' : 'n');
      go.hear();
      ::_exit(0);
    }
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear() == 'y');
  CHECK_FALSE(mine.try_acquire());
  parent.kill();
  CHECK_FALSE(mine.try_acquire());  // as the documentation says
  CHECK(mine.locked());
  go.tell();
  mine.acquire();
  CHECK(mine.abandoned());
}

TEST_CASE("a child forked in the middle of a wait has no place in the queue, and the waiter keeps its own", "[process]") {
  const Ground ground;
  auto holder = ground.lock();
  const auto look = ground.lock();
  holder.acquire();
  Pipe forked;
  Child waits{[&] {
    auto lock = ground.lock("x", {.timeout = kPatience});
    std::thread waiter{[&] { lock.acquire(); }};
    if (!eventually([&] { return look.holder()->waiting == std::uint64_t{1}; }) || !support::others_asleep()) ::_exit(1);
    for (int i = 0; i < 10; ++i) {
      // By an object that is being waited with just now: in the child it is nobody's.
      Child child{[&] {
        if (lock.try_acquire() || lock.try_acquire_for(5ms)) return 1;
        return look.holder()->waiting == std::uint64_t{1} ? 0 : 2;
      }};
      if (child.wait() != Exit{0, 0}) ::_exit(2);
    }
    forked.tell();
    waiter.join();
    lock.release();
    return 0;
  }};
  REQUIRE(forked.hear());
  CHECK(look.holder()->waiting == std::uint64_t{1});
  holder.release();
  CHECK(waits.wait() == Exit{0, 0});
  CHECK(holder.try_acquire());
}

namespace {

// Of static duration, as in programs whose locks outlive main().
std::unique_ptr<StoreLock>& at_the_end() {
  static std::unique_ptr<StoreLock> lock;
  return lock;
}

}  // namespace

TEST_CASE("a lock of static duration is released as its process ends", "[process]") {
  const Ground ground;
  auto mine = ground.lock();
  Child holder{[&]() -> int {
    at_the_end() = std::make_unique<StoreLock>("x", Options{}, ground.client);
    at_the_end()->acquire();
    std::exit(0);
  }};
  CHECK(holder.wait() == Exit{0, 0});
  CHECK(mine.try_acquire());
  CHECK_FALSE(mine.abandoned());
}
