// SPDX-License-Identifier: MIT
// Looking at locks disturbs nobody; list and clean.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/key.hpp"
#include "ground.hpp"

using namespace ground;

TEST_CASE("looking makes no try for a free lock fail", "[shm][process]") {
  constexpr int kTries = 200000;
  const Ground ground;
  const Shared<std::atomic<int>> over, failures, looks;
  std::vector<Child> lookers, triers;
  for (int i = 0; i < 2; ++i)
    lookers.emplace_back([&, i] {
      const auto first = ground.lock("1"), second = ground.lock("2");
      while (!over->load()) {
        if (i == 0) (void)first.holder();
        (void)first.locked();
        (void)second.locked();
        (void)ShmLock::list(ground.segment);
        ++*looks;
      }
      return 0;
    });
  for (const char* name : {"1", "2"})
    triers.emplace_back([&, name] {
      auto lock = ground.lock(name, {.expire = *name == '1' ? never : Duration{1h}});
      if (!eventually([&] { return looks->load() > 10; })) return 1;
      for (int i = 0; i < kTries; ++i) {
        if (lock.try_acquire())
          lock.release();
        else
          ++*failures;
      }
      return 0;
    });
  for (Child& trier : triers) CHECK(trier.wait(60s) == Exit{0, 0});
  over->store(1);
  for (Child& looker : lookers) CHECK(looker.wait() == Exit{0, 0});
  CHECK(failures->load() == 0);
}

TEST_CASE("the holder is named, with what it says of itself", "[shm][process]") {
  const Ground ground;
  auto lock = ground.lock("x", {.ns = "shop", .expire = 1h, .label = "nightly backup of /home"});
  const auto look = ground.lock("x", {.ns = "shop"});
  CHECK_FALSE(look.holder());
  const auto before = std::chrono::system_clock::now() - 1s;
  lock.acquire();
  const auto holder = look.holder();
  REQUIRE(holder);
  CHECK(holder->pid == ::getpid());
  CHECK(holder->uid == ::geteuid());
  CHECK(holder->program == program_invocation_short_name);
  CHECK_FALSE(holder->host.empty());
  CHECK(holder->label == "nightly backup of /home");
  CHECK(holder->fence == lock.fence());
  CHECK(holder->waiting == std::uint64_t{0});
  REQUIRE((holder->since && holder->expiry));
  CHECK(*holder->since > before);
  CHECK(*holder->expiry > *holder->since + 59min);
  CHECK(*holder->expiry < *holder->since + 61min);

  Child other{[&] {
    auto mine = ground.lock("x", {.ns = "shop", .timeout = 0s});
    try {
      mine.acquire();
    } catch (const LockTimeoutException& e) {
      return std::string{e.what()}.find("nightly backup of /home") != std::string::npos ? 0 : 1;
    }
    return 2;
  }};
  CHECK(other.wait() == Exit{0, 0});
  lock.release();
  CHECK_FALSE(look.holder());
}

TEST_CASE("the label is that of the present holder, whoever had a longer, shorter or no own one before", "[shm]") {
  const Ground ground;
  const auto look = ground.lock();
  std::vector<std::string> labels{std::string(256, 'l'), "", "short", std::string{"\0\xff\n", 3}, std::string(49, 'm'), program_invocation_short_name};
  for (int round = 0; round < 2; ++round)
    for (const std::string& label : labels) {
      auto lock = ground.lock("x", {.expire = round ? never : Duration{1h}, .label = label});
      lock.acquire();
      CHECK(look.holder()->label == label);
      CHECK(look.holder()->fence == lock.fence());
      lock.release();
      auto plain = ground.lock();
      plain.acquire();
      CHECK(look.holder()->label == program_invocation_short_name);
      plain.release();
    }
}

TEST_CASE("waiters are counted while they wait, and not when they are dead", "[shm][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  std::vector<Child> waiters;
  for (int i = 0; i < 4; ++i)
    waiters.emplace_back([&] {
      auto mine = ground.lock("x", {.timeout = forever});
      mine.acquire();
      return 1;
    });
  REQUIRE(eventually([&] { return lock.holder()->waiting == std::uint64_t{4}; }));
  Child impatient{[&] { return ground.lock().try_acquire_for(100ms) ? 1 : 0; }};
  CHECK(eventually([&] { return lock.holder()->waiting == std::uint64_t{5} || !impatient.running(); }));
  CHECK(impatient.wait() == Exit{0, 0});
  CHECK(lock.holder()->waiting == std::uint64_t{4});
  for (int left = 4; left-- > 0;) {
    waiters[static_cast<std::size_t>(left)].kill();
    CHECK(lock.holder()->waiting == static_cast<std::uint64_t>(left));
  }
}

TEST_CASE("a lock that was kept for a waiter who has died is free, for who looks as for who tries", "[shm][process]") {
  const Ground ground;
  auto lock = ground.lock(), other = ground.lock();
  lock.acquire();
  Child waiter{[&] {
    auto mine = ground.lock("x", {.timeout = forever});
    mine.acquire();
    return 1;
  }};
  REQUIRE(eventually([&] { return lock.holder()->waiting == std::uint64_t{1}; }));
  std::this_thread::sleep_for(60ms);  // long enough a wait that the lock is to be handed over
  waiter.stop();
  waiter.kill();
  lock.release();
  CHECK_FALSE(other.locked());
  CHECK_FALSE(other.holder());
  CHECK_FALSE(ShmLock::list(ground.segment).at(0).holder);
  CHECK(ShmLock::clean(ground.segment) == 1);
  CHECK(other.try_acquire());
  CHECK_FALSE(other.abandoned());
}

TEST_CASE("what dead waiters leave behind does not keep a name from being forgotten", "[shm][process]") {
  const Ground ground;
  for (int i = 0; i < 3; ++i) {
    auto lock = ground.lock("x", {.timeout = kPatience});
    lock.acquire();
    std::vector<Child> waiters;
    for (int w = 0; w < 3; ++w)
      waiters.emplace_back([&] {
        auto mine = ground.lock("x", {.timeout = forever});
        mine.acquire();
        return 1;
      });
    REQUIRE(eventually([&] { return lock.holder()->waiting == std::uint64_t{3}; }));
    for (Child& waiter : waiters) waiter.kill();
    CHECK(ShmLock::clean(ground.segment) == 0);  // it is held
    lock.release();
    CHECK(ShmLock::clean(ground.segment) == 1);
    CHECK(ShmLock::list(ground.segment).empty());
  }
}

TEST_CASE("the locks of a segment are listed by namespace and name", "[shm]") {
  const Ground ground;
  CHECK(ShmLock::list(ground.segment).empty());
  CHECK(ShmLock::clean(ground.segment) == 0);
  CHECK_FALSE(std::filesystem::exists(ground.path));
  auto b = ground.lock("b"), a = ground.lock("a"), z = ground.lock("z", {.ns = "n"}), strange = ground.lock(std::string{"../\0\xff", 5}),
       longest = ground.lock(std::string(1024, 'n'), {.ns = std::string(1024, 's')});
  CHECK(ShmLock::list(ground.segment).empty());  // none of them was ever taken
  for (ShmLock* lock : {&b, &a, &z, &strange, &longest}) lock->acquire();
  a.release();
  const auto all = ShmLock::list(ground.segment);
  REQUIRE(all.size() == 5);
  CHECK(all[0].name == (std::string{"../\0\xff", 5}));
  CHECK(all[1].name == "a");
  CHECK(all[2].name == "b");
  CHECK(all[3].name == "z");
  CHECK(all[3].ns == "n");
  CHECK(all[4].name == longest.name());
  CHECK(all[4].ns == longest.ns());
  CHECK_FALSE(all[1].holder);
  REQUIRE(all[2].holder);
  CHECK(all[2].holder->fence == b.fence());
  CHECK(all[3].key == z.key());
  CHECK(all[0].key == strange.key());
}

TEST_CASE("cleaning forgets the locks that nobody uses, and nothing else", "[shm][process]") {
  const Ground ground;
  auto free = ground.lock("free"), held = ground.lock("held"), leased = ground.lock("leased", {.expire = 1h});
  for (ShmLock* lock : {&free, &held, &leased}) lock->acquire();
  const std::uint64_t fence = free.fence();
  free.release();
  Child dies{[&] {
    auto lock = ground.lock("abandoned");
    lock.acquire();
    return ::raise(SIGKILL);
  }};
  CHECK(dies.wait() == Exit{-1, SIGKILL});

  CHECK(ShmLock::clean(ground.segment) == 1);
  const auto left = ShmLock::list(ground.segment);
  CHECK(left.size() == 3);
  CHECK(std::none_of(left.begin(), left.end(), [](const LockInfo& info) { return info.name == "free"; }));
  CHECK(held.renew());
  CHECK(leased.renew());
  auto successor = ground.lock("abandoned");
  CHECK(successor.try_acquire());
  CHECK(successor.abandoned());
  CHECK(free.try_acquire());  // an old object, of a lock that was forgotten
  CHECK(free.fence() > fence);
  CHECK_FALSE(ground.lock("free").try_acquire());
  successor.release();
  CHECK(ShmLock::clean(ground.segment) == 1);
}

TEST_CASE("a late release of a lease does not free the name that has its place by now", "[shm]") {
  const Ground ground;
  auto late = ground.lock("x", {.expire = 1ms}), next = ground.lock("x", {.timeout = kPatience});
  late.acquire();
  next.acquire();
  next.release();
  REQUIRE(ShmLock::clean(ground.segment) == 1);
  auto heir = ground.lock("x"), other = ground.lock("x");
  heir.acquire();
  CHECK_THROWS_AS(late.release(), LockLostException);
  CHECK_FALSE(other.try_acquire());
  CHECK_NOTHROW(heir.release());
}

TEST_CASE("cleaning again and again beside those who lock and wait lets nobody in twice, and fences go on", "[shm][process]") {
  constexpr int kNames = 3;
  struct Names {
    std::atomic<int> inside[kNames], overlaps{0}, backwards{0}, over{0}, total{0};
    std::atomic<std::uint64_t> last[kNames];
  };
  const Ground ground;
  const Shared<Names> board;
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i)
    children.emplace_back([&, i] {
      std::minstd_rand random{static_cast<unsigned>(i + 1)};
      std::vector<std::unique_ptr<ShmLock>> locks;
      for (int n = 0; n < kNames; ++n)
        locks.push_back(std::make_unique<ShmLock>(std::to_string(n), Options{.expire = i == 0 ? Duration{1h} : never, .timeout = forever}, ground.segment));
      while (!board->over.load()) {
        const std::size_t n = random() % kNames;
        ShmLock& lock = *locks[n];
        if (random() % 3 == 0) {
          if (!lock.try_acquire()) continue;
        } else {
          lock.acquire();
        }
        if (board->inside[n].exchange(1) != 0) ++board->overlaps;
        if (board->last[n].exchange(lock.fence()) >= lock.fence()) ++board->backwards;
        if (random() % 64 == 0) std::this_thread::sleep_for(500us);
        ++board->total;
        board->inside[n].store(0);
        lock.release();  // a loss would be an exception
      }
      return 0;
    });
  std::size_t cleaned = 0;
  for (int i = 0; i < 500; ++i) {
    const int before = board->total.load();
    cleaned += ShmLock::clean(ground.segment);
    REQUIRE(eventually([&] { return board->total.load() > before; }));
  }
  board->over = 1;
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  CHECK(board->overlaps.load() == 0);
  CHECK(board->backwards.load() == 0);
  CHECK(cleaned > 0);
}
