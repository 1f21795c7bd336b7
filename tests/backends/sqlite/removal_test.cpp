// SPDX-License-Identifier: MIT
// The database or its companion is removed or replaced while it is open.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "ground.hpp"
#include "support/fault_script.hpp"

using namespace ground;
namespace fs = std::filesystem;

namespace {

struct Removal {
  const char* what;
  std::function<void(const Ground&)> act;
};

const std::vector<Removal> kRemovals{
    {"removed", [](const Ground& g) { fs::remove(g.db); }},
    {"removed with all that lies beside it", [](const Ground& g) {
       for (const char* suffix : {"", "-wal", "-shm", "-sherlock"}) fs::remove(g.db + suffix);
     }},
    {"moved away", [](const Ground& g) { fs::rename(g.db, g.db + ".old"); }},
    {"without its companion", [](const Ground& g) { fs::remove(g.db + "-sherlock"); }},
    {"replaced by a copy", [](const Ground& g) {
       Outsider{g.db}.run("PRAGMA wal_checkpoint(TRUNCATE)");
       fs::copy_file(g.db, g.db + ".copy");
       fs::rename(g.db + ".copy", g.db);
     }},
};

}  // namespace

TEST_CASE("a store that is gone is a lost hold, and the next one is right again", "[sqlite][removal]") {
  for (const Removal& removal : kRemovals) {
    CAPTURE(removal.what);
    const Ground ground;
    int told = 0;
    auto lock = ground.lock("x", {.on_lost = [&](const LockException& e) { told += e.code() == Errc::lost; }}), renewed = ground.lock("y");
    lock.acquire();
    renewed.acquire();
    const std::uint64_t fence = lock.fence();
    removal.act(ground);
    let_the_last_look_be_old();
    CHECK_FALSE(renewed.renew());
    CHECK(throws<LockLostException>([&] { lock.release(); }));
    CHECK(told == 1);
    CHECK_FALSE(lock.held());

    lock.acquire();
    CHECK(lock.fence() > fence);
    CHECK_FALSE(is_free(ground));
    Child other{[&] { return ground.lock().try_acquire() ? 1 : 0; }};
    CHECK(other.wait() == Exit{0, 0});
    lock.release();
    CHECK(is_free(ground));
    CHECK(ground.integrity() == "ok");
  }
}

TEST_CASE("once somebody has opened what is there now, nobody is granted anything in what was there", "[sqlite][removal][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  lock.release();  // just looked: the next look is due in milliseconds
  fs::rename(ground.db, ground.db + ".old");
  Pipe ready, go;
  Child other{[&] {
    auto theirs = ground.lock();
    theirs.acquire();
    ready.tell();
    go.hear();
    return 0;
  }};
  REQUIRE(ready.hear());
  CHECK_FALSE(lock.try_acquire());  // no tick of the coarse clock needed
  go.tell();
  CHECK(other.wait() == Exit{0, 0});
  CHECK(lock.try_acquire_for(5s));
}

TEST_CASE("who waits does not wait at a store that is gone", "[sqlite][removal][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  Pipe got;
  Child waiter{[&] {
    auto theirs = ground.lock("x", {.timeout = 15s});
    theirs.acquire();
    got.tell();
    return 0;
  }};
  REQUIRE(eventually([&] { return lock.holder()->waiting == 1u; }));
  for (const char* suffix : {"", "-wal", "-shm", "-sherlock"}) fs::remove(ground.db + suffix);
  CHECK(got.hear());
  CHECK(waiter.wait() == Exit{0, 0});
}

TEST_CASE("in a backup that was put in the place of the database nothing is held, and fences go on", "[sqlite][removal][process]") {
  const Ground ground;
  std::uint64_t fence = 0;
  {
    auto lock = ground.lock();
    lock.acquire();
    Outsider{ground.db}.run("VACUUM INTO '" + ground.db + ".backup'");
    lock.release();
    for (int i = 0; i < 1000; ++i) {
      lock.acquire();
      fence = lock.fence();
      lock.release();
    }
  }
  for (const char* suffix : {"-wal", "-shm"}) fs::remove(ground.db + suffix);
  fs::rename(ground.db + ".backup", ground.db);
  let_the_last_look_be_old();
  auto lock = ground.lock();
  REQUIRE(lock.try_acquire());
  CHECK(lock.abandoned());
  CHECK(lock.fence() > fence);
}

TEST_CASE("a hold that was lost because its store could not be looked at is in nobody's way", "[sqlite][removal]") {
  const Ground ground;
  auto lock = ground.lock(), other = ground.lock();
  lock.acquire();
  let_the_last_look_be_old();
  {
    support::FaultScript script;
    script.fail<&support::Syscalls::fstatat>(EIO, 1, support::kAlways);
    CHECK(throws<LockLostException>([&] { lock.release(); }));
  }
  CHECK(other.try_acquire());
}
