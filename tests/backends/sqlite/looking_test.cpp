// SPDX-License-Identifier: MIT
// What people see: holder(), list(), clean(), and the view, which any program can read.
#include <string>
#include <vector>

#include "ground.hpp"

using namespace ground;

TEST_CASE("the view shows holders in plain columns", "[sqlite][looking]") {
  const Ground ground;
  auto lock = ground.lock("nightly", {.ns = "shop", .label = "backup of /home"}), lease = ground.lock("report", {.expire = 60s});
  const Outsider them{ground.db};
  CHECK(them.ask("SELECT count(*) FROM sherlock_locks") == "0");
  lock.acquire();
  lease.acquire();
  const auto of = [&](const std::string& column, const std::string& name) {
    return them.ask("SELECT " + column + " FROM sherlock_locks WHERE name = '" + name + "'");
  };
  CHECK(of("ns", "nightly") == "shop");
  CHECK(of("label", "nightly") == "backup of /home");
  CHECK(of("holder", "nightly").starts_with(std::to_string(::getpid()) + " "));
  CHECK(of("fence", "nightly") == std::to_string(lock.fence()));
  CHECK(of("expires", "nightly").empty());
  CHECK(of("abs(strftime('%s', since, 'utc') - strftime('%s', 'now')) < 60", "nightly") == "1");
  CHECK(of("abs(strftime('%s', expires, 'utc') - strftime('%s', 'now') - 60) < 60", "report") == "1");
  lock.release();
  CHECK(them.ask("SELECT group_concat(name) FROM sherlock_locks") == "report");
}

TEST_CASE("a killed holder is in the view until somebody looks who can tell", "[sqlite][looking][process]") {
  const Ground ground;
  Child dead{[&] {
    ground.lock("a").acquire();
    auto a = ground.lock("a"), b = ground.lock("b");
    a.acquire();
    b.acquire();
    return ::raise(SIGKILL);
  }};
  dead.wait();
  const Outsider them{ground.db};
  CHECK(them.ask("SELECT count(*) FROM sherlock_locks") == "2");
  auto a = ground.lock("a");
  CHECK_FALSE(a.locked());
  CHECK(them.ask("SELECT group_concat(name) FROM sherlock_locks") == "b");
  for (const LockInfo& info : SqliteLock::list(ground.db)) CHECK_FALSE(info.holder);
  CHECK(them.ask("SELECT count(*) FROM sherlock_locks") == "0");
  CHECK(SqliteLock::clean(ground.db) == 0);  // their next holders are to be told
  CHECK(a.try_acquire());
  CHECK(a.abandoned());
  a.release();
  CHECK(SqliteLock::clean(ground.db) == 1);
}

TEST_CASE("holder() tells who has it, and how many wait", "[sqlite][looking][process]") {
  const Ground ground;
  auto lock = ground.lock("x", {.expire = 60s, .label = "why"});
  CHECK_FALSE(lock.holder());
  lock.acquire();
  Child waiter{[&] {
    auto theirs = ground.lock("x", {.timeout = 15s});
    theirs.acquire();
    return 0;
  }};
  REQUIRE(eventually([&] { return lock.holder()->waiting == 1u; }));
  const Holder holder = *lock.holder();
  CHECK(holder.pid == ::getpid());
  CHECK(holder.uid == ::geteuid());
  CHECK(holder.label == "why");
  CHECK(holder.fence == lock.fence());
  CHECK(holder.since);
  CHECK(holder.expiry > std::chrono::system_clock::now() + 30s);
  lock.release();
  CHECK(waiter.wait() == Exit{0, 0});
}

TEST_CASE("list() shows what was taken, held or not; clean() forgets what nobody has", "[sqlite][looking]") {
  const Ground ground;
  CHECK(SqliteLock::list(ground.db).empty());
  CHECK(SqliteLock::clean(ground.db) == 0);
  CHECK_FALSE(exists(ground.db));  // looking makes nothing
  auto held = ground.lock("held", {.ns = "b"}), released = ground.lock("released", {.ns = "a"});
  held.acquire();
  released.acquire();
  const std::uint64_t fence = released.fence();
  released.release();
  const auto locks = SqliteLock::list(ground.db);
  REQUIRE(locks.size() == 2);
  CHECK(locks[0].name == "released");
  CHECK(locks[0].ns == "a");
  CHECK(locks[0].key == released.key());
  CHECK(locks[0].path == ground.db);
  CHECK_FALSE(locks[0].holder);
  REQUIRE(locks[1].holder);
  CHECK(locks[1].holder->pid == ::getpid());
  CHECK(SqliteLock::clean(ground.db) == 1);
  CHECK(SqliteLock::list(ground.db).size() == 1);
  CHECK(held.renew());
  released.acquire();  // its row was taken from under it
  CHECK(released.fence() > fence);
}

TEST_CASE("names that nobody uses any more do not fill the database", "[sqlite][looking]") {
  const Ground ground;
  auto kept = ground.lock("kept");
  kept.acquire();
  // More than may lie about unused: what is beyond that goes while new ones come.
  for (int i = 0; i < 90'000; ++i) {
    auto lock = ground.lock("name " + std::to_string(i) + std::string(100, '.'));
    lock.acquire();
    lock.release();
  }
  CHECK(std::stol(Outsider{ground.db}.ask("SELECT count(*) FROM locks")) < 40'000);
  CHECK(stat_of(ground.db).st_size < 12'000'000);
  CHECK(kept.renew());
}
