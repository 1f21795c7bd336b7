// SPDX-License-Identifier: MIT
// Statements, and the checkpoints that follow them, one process at a time.
#include <atomic>
#include <list>
#include <string>
#include <vector>

#include "backends/sqlite/sqlite_store.hpp"
#include "ground.hpp"
#include <sherlock/clock.hpp>

using namespace ground;
using sqlite::Rows;
using sqlite::SqliteStore;

namespace {

auto in(std::chrono::nanoseconds time) {
  return [until = sherlock::clock().monotonic() + time] { return until; };
}

}  // namespace

TEST_CASE("one process at a time is inside the database, whoever is killed there", "[sqlite][gate][process]") {
  const Ground ground;
  struct Inside {
    std::atomic<int> pid, overlaps;
    std::atomic<std::uint64_t> visits;
  };
  const Shared<Inside> inside;
  const auto work = [&] {
    const auto store = SqliteStore::open(SqliteClient{ground.db}, posix::Missing::create, in(15s)());
    for (;;)
      store->section(in(15s), [&](Rows&) {
        // Who was killed in here is not here any more; but nobody may come while we are.
        int mine = ::getpid();
        inside->pid.store(mine);
        inside->visits.fetch_add(1);
        if (inside->visits % 8 == 0) std::this_thread::sleep_for(20us);
        if (!inside->pid.compare_exchange_strong(mine, 0)) inside->overlaps.fetch_add(1);
      });
    return 0;
  };
  std::list<Child> workers;
  for (int i = 0; i < 4; ++i) workers.emplace_back(work);
  for (int kills = 0; kills < 100; ++kills) {
    std::this_thread::sleep_for(std::chrono::microseconds{1000 + kills * 71 % 3000});
    workers.pop_front();
    workers.emplace_back(work);
  }
  const std::uint64_t before = inside->visits;
  CHECK(eventually([&] { return inside->visits > before + 100; }));
  CHECK(inside->overlaps == 0);
}

TEST_CASE("a process that is stopped inside the database makes others say so, at their deadline", "[sqlite][gate][process]") {
  const Ground ground;
  Pipe ready, go;
  Child stopped{[&] {
    const auto store = SqliteStore::open(SqliteClient{ground.db}, posix::Missing::create, in(15s)());
    store->section(in(15s), [&](Rows&) {
      ready.tell();
      go.hear();
    });
    return 0;
  }};
  REQUIRE(ready.hear());
  stopped.stop();
  const auto store = [&] {
    const auto e = thrown<BackendException>([&] { (void)ground.lock("x", {.timeout = 1s}); });
    CHECK(e.code() == Errc::busy);
    CHECK_THAT(e.what(), says("is it stopped?") && says(std::to_string(stopped.pid())));
  };
  store();
  stopped.resume();
  go.tell();
  CHECK(stopped.wait() == Exit{0, 0});
  CHECK(is_free(ground));
}

TEST_CASE("who opens a database waits for those who are in it, as long as its timeout says and not a mere second", "[sqlite][gate][process]") {
  const Ground ground;
  Pipe ready;
  Child slow{[&] {
    const auto store = SqliteStore::open(SqliteClient{ground.db}, posix::Missing::create, in(5s)());
    store->section(in(5s), [&](Rows&) {
      ready.tell();
      std::this_thread::sleep_for(1300ms);  // a thousand others, one after the other
    });
    return 0;
  }};
  REQUIRE(ready.hear());
  auto lock = ground.lock("x", {.timeout = 30s});
  CHECK(lock.try_acquire());
  CHECK(slow.wait() == Exit{0, 0});
}

TEST_CASE("the gate passes from thread to thread of a process too", "[sqlite][gate]") {
  const Ground ground;
  const auto store = SqliteStore::open(SqliteClient{ground.db}, posix::Missing::create, in(15s)());
  int inside = 0, overlaps = 0;  // the gate makes them safe
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 2000; ++n)
        store->section(in(15s), [&](Rows&) {
          overlaps += inside++ != 0;
          --inside;
        });
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(overlaps == 0);
}

TEST_CASE("commits and checkpoints of many processes at once leave a whole database", "[sqlite][gate][process]") {
  const Ground ground;
  { auto lock = ground.lock(); }
  std::vector<Child> workers;
  for (int i = 0; i < 4; ++i)
    workers.emplace_back([&, i] {
      // New rows, so that pages come and go: each write is followed by a checkpoint before long.
      for (int n = 0; n < 1500; ++n) {
        auto lock = ground.lock("name " + std::to_string(i) + " " + std::to_string(n));
        lock.acquire();
        lock.release();
        if (n % 500 == 499) SqliteLock::clean(ground.db);
      }
      return 0;
    });
  for (Child& worker : workers) CHECK(worker.wait(60s) == Exit{0, 0});
  CHECK(ground.integrity() == "ok");
}
