// SPDX-License-Identifier: MIT
// What happens when somebody removes, moves or replaces the segment: RemoveIPC at logout, rm, a second one moved over it.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sherlock/clock.hpp>

#include "ground.hpp"

using namespace ground;
namespace fs = std::filesystem;

namespace {

struct Removal {
  const char* what;
  std::function<void(const Ground&)> act;
};

const std::vector<Removal> kRemovals{
    {"removed", [](const Ground& ground) { fs::remove(ground.path); }},
    {"moved away", [](const Ground& ground) {
       fs::rename(ground.path, ground.path + ".old");
       fs::remove(ground.path + ".old");
     }},
    {"removed, and another one made", [](const Ground& ground) {
       fs::remove(ground.path);
       Child other{[&] { return ground.lock("y").try_acquire() ? 0 : 1; }};
       REQUIRE(other.wait() == Exit{0, 0});
     }},
    {"another one moved over it", [](const Ground& ground) {
       Child other{[&] { return ShmLock("x", {}, ground.segment + ".new").try_acquire() ? 0 : 1; }};
       REQUIRE(other.wait() == Exit{0, 0});
       fs::rename(ground.path + ".new", ground.path);
     }},
};

}  // namespace

TEST_CASE("a holder whose segment is taken away is told at its next call, and can acquire anew", "[shm][process]") {
  for (const Removal& removal : kRemovals)
    for (const Duration expire : {never, Duration{1h}})
      for (const bool asks_to_renew : {false, true}) {
        CAPTURE(removal.what, expire.text(), asks_to_renew);
        const Ground ground;
        int told = 0;
        auto lock = ground.lock("x", {.expire = expire, .on_lost = [&](const LockException& e) { told += e.code() == Errc::lost; }});
        lock.acquire();
        const std::uint64_t fence = lock.fence();
        removal.act(ground);
        let_the_last_look_be_old();
        if (asks_to_renew) CHECK_FALSE(lock.renew());
        CHECK_THROWS_AS(lock.release(), LockLostException);
        CHECK(told == 1);
        CHECK_FALSE(lock.held());

        auto other = ground.lock("x", {.expire = expire});
        CHECK(lock.try_acquire());
        CHECK(lock.fence() > fence);
        CHECK_FALSE(other.try_acquire());
        CHECK_NOTHROW(lock.release());
        CHECK(other.try_acquire());
      }
}

TEST_CASE("a holder whose segment was taken away does not disturb who came after it", "[shm][process]") {
  for (const Removal& removal : kRemovals) {
    CAPTURE(removal.what);
    const Ground ground;
    auto lock = ground.lock();
    lock.acquire();
    const std::uint64_t fence = lock.fence();
    removal.act(ground);
    Pipe ready, go;
    Child successor{[&] {
      auto mine = ground.lock();
      if (!mine.try_acquire()) return 1;
      if (mine.fence() <= fence) return 2;
      ready.tell();
      if (!go.hear()) return 3;
      mine.release();
      return 0;
    }};
    REQUIRE(ready.hear());
    let_the_last_look_be_old();
    CHECK_THROWS_AS(lock.release(), LockLostException);
    CHECK_FALSE(lock.try_acquire());
    go.tell();
    CHECK(successor.wait() == Exit{0, 0});
    CHECK(lock.try_acquire());
  }
}

TEST_CASE("a segment removed between two holds is made again, and excludes", "[shm][process]") {
  for (const Removal& removal : kRemovals) {
    CAPTURE(removal.what);
    const Ground ground;
    auto lock = ground.lock();
    lock.acquire();
    const std::uint64_t fence = lock.fence();
    lock.release();
    let_the_last_look_be_old();
    removal.act(ground);
    lock.acquire();
    CHECK(lock.fence() > fence);
    CHECK(lock.locked());
    CHECK(fs::exists(ground.path));
    Child other{[&] { return ground.lock().try_acquire() ? 1 : 0; }};
    CHECK(other.wait() == Exit{0, 0});
    CHECK_NOTHROW(lock.release());
  }
}

TEST_CASE("a waiter whose segment is taken away gets the lock of the new one, though the old one is held on", "[shm][process]") {
  for (const Removal& removal : kRemovals) {
    CAPTURE(removal.what);
    const Ground ground;
    auto holder = ground.lock();
    holder.acquire();
    const Shared<std::atomic<std::uint64_t>> fence;
    std::vector<Child> waiters;
    for (int i = 0; i < 2; ++i)
      waiters.emplace_back([&] {
        auto lock = ground.lock("x", {.timeout = forever, .retry_interval = 1h});
        lock.acquire();
        fence->store(lock.fence());
        if (ground.lock().try_acquire()) return 1;
        lock.release();
        return 0;
      });
    REQUIRE(eventually([&] {
      const auto who = holder.holder();
      return who && who->waiting == std::uint64_t{2};
    }));
    const std::uint64_t held = holder.fence();
    removal.act(ground);
    for (Child& waiter : waiters) CHECK(waiter.wait() == Exit{0, 0});
    CHECK(fence->load() > held);
    let_the_last_look_be_old();
    CHECK_THROWS_AS(holder.release(), LockLostException);
  }
}

TEST_CASE("locked() and holder() tell of the segment that a newcomer would find", "[shm]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  CHECK(lock.locked());
  fs::remove(ground.path);
  let_the_last_look_be_old();
  CHECK_FALSE(lock.locked());
  CHECK_FALSE(lock.holder());
  CHECK(ShmLock::list(ground.segment).empty());
}

TEST_CASE("with the segment removed again and again, of two holds that overlap one is told", "[shm][process]") {
  constexpr int kHolds = 400;
  struct Board {
    std::atomic<int> next{0};
    struct {
      std::int64_t begin, end;
      bool told;
    } holds[kHolds];
  };
  const Ground ground;
  const Shared<Board> board;
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i)
    children.emplace_back([&, i] {
      const auto now = [] { return sherlock::clock().monotonic().count(); };
      auto lock = ground.lock("x", {.expire = i % 2 ? never : Duration{1h}, .timeout = forever});
      for (;;) {
        lock.acquire();
        const std::int64_t begin = now();
        let_the_last_look_be_old();
        const std::int64_t end = now();
        const bool told = !lock.renew();
        const int number = board->next.fetch_add(1);
        if (number >= kHolds) return 0;
        board->holds[number] = {begin, end, told};
        lock.unlock();
      }
    });
  while (board->next.load() < kHolds) {
    const int before = board->next.load();
    REQUIRE(eventually([&] { return board->next.load() > before + 3; }));
    fs::remove(ground.path);
  }
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  std::vector<std::pair<std::int64_t, std::int64_t>> untold;
  for (const auto& hold : board->holds)
    if (!hold.told) untold.emplace_back(hold.begin, hold.end);
  std::sort(untold.begin(), untold.end());
  int overlaps = 0;
  for (std::size_t i = 1; i < untold.size(); ++i) overlaps += untold[i].first < untold[i - 1].second;
  CHECK(overlaps == 0);
  CHECK(untold.size() < kHolds);
}

TEST_CASE("a storm of removals leaves nobody stuck", "[shm][process]") {
  const Ground ground;
  const Shared<std::atomic<int>> over, total;
  std::vector<Child> children;
  for (unsigned i = 0; i < 4; ++i)
    children.emplace_back([&, i] {
      std::minstd_rand random{i + 1};
      while (!over->load()) {
        // Objects that come and go open and replace stores all the time.
        auto lock = ground.lock(std::to_string(random() % 3), {.timeout = kPatience});
        if (random() % 2)
          lock.acquire();
        else if (!lock.try_acquire())
          continue;
        ++*total;
        lock.unlock();
      }
      return 0;
    });
  std::minstd_rand random{99};
  for (int i = 0; i < 150; ++i) {
    const int before = total->load();
    REQUIRE(eventually([&] { return total->load() > before; }));
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 3000});
    fs::remove(ground.path);
  }
  over->store(1);
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  CHECK(ground.lock("0", {.timeout = kPatience}).try_acquire());
}
