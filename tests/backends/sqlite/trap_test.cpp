// SPDX-License-Identifier: MIT
// POSIX locks, which SQLite uses, fall away when anybody in the process closes the file: somebody who reads it, or another copy of SQLite.
#include <dlfcn.h>
#include <fcntl.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ground.hpp"

using namespace ground;

namespace {

struct Inside {
  std::atomic<int> now, overlaps;
  std::atomic<std::uint64_t> fence, back, grants;
};

// Several processes, each with somebody in it who does `trap` all the time.
template <class Trap>
void contend(const Ground& ground, Trap trap) {
  const Shared<Inside> inside;
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i)
    children.emplace_back([&] {
      std::thread stranger{[&] {
        for (;;) trap();
      }};
      const std::unique_ptr<std::thread, void (*)(std::thread*)> end{&stranger, [](std::thread* running) { running->detach(); }};
      auto lock = ground.lock("x", {.timeout = 20s});
      for (int n = 0; n < 300; ++n) {
        lock.acquire();
        if (inside->now.fetch_add(1) != 0) inside->overlaps.fetch_add(1);
        if (inside->fence.exchange(lock.fence()) >= lock.fence()) inside->back.fetch_add(1);
        inside->grants.fetch_add(1);
        inside->now.fetch_sub(1);
        lock.release();
      }
      return 0;
    });
  for (Child& child : children) CHECK(child.wait(60s) == Exit{0, 0});
  CHECK(inside->grants == 1200);
  CHECK(inside->overlaps == 0);
  CHECK(inside->back == 0);
  CHECK(ground.integrity() == "ok");
}

}  // namespace

TEST_CASE("that somebody in the process opens and closes the database file harms no lock", "[sqlite][trap][process]") {
  const Ground ground;
  { auto lock = ground.lock(); }
  contend(ground, [&] {
    for (const char* suffix : {"", "-wal", "-shm"}) ::close(::open((ground.db + suffix).c_str(), O_RDONLY | O_CLOEXEC));
    std::this_thread::sleep_for(100us);
  });
}

TEST_CASE("two copies of SQLite in each process, both at the database, harm no lock", "[sqlite][trap][process]") {
  void* const copy = ::dlmopen(LM_ID_NEWLM, "libsqlite3.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!copy) return skip(std::string{"a second SQLite cannot be loaded: "} + ::dlerror());
  const auto open = reinterpret_cast<decltype(&sqlite3_open_v2)>(::dlsym(copy, "sqlite3_open_v2"));
  const auto exec = reinterpret_cast<decltype(&sqlite3_exec)>(::dlsym(copy, "sqlite3_exec"));
  const auto close = reinterpret_cast<decltype(&sqlite3_close)>(::dlsym(copy, "sqlite3_close"));
  REQUIRE((open && exec && close && open != &sqlite3_open_v2));
  const Ground ground;
  { auto lock = ground.lock(); }
  // The other copy reads: what it writes passes no gate, and its own library's bugs would be the subject.
  contend(ground, [&] {
    sqlite3* handle = nullptr;
    if (open(ground.db.c_str(), &handle, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK) exec(handle, "SELECT count(*) FROM locks", nullptr, nullptr, nullptr);
    close(handle);
    std::this_thread::sleep_for(500us);
  });
}

TEST_CASE("an outsider who closes the database does not take himself for the last, though our POSIX locks have fallen away", "[sqlite][trap][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  for (const char* suffix : {"", "-shm"}) ::close(::open((ground.db + suffix).c_str(), O_RDONLY | O_CLOEXEC));
  Child outsider{[&] {
    const Outsider them{ground.db};
    return them.ask("SELECT count(*) FROM sherlock_locks") == "1" ? 0 : 1;
  }};
  REQUIRE(outsider.wait() == Exit{0, 0});
  CHECK(exists(ground.db + "-wal"));
  CHECK(lock.renew());
  lock.release();
  CHECK(is_free(ground));
}

TEST_CASE("a log that somebody removed is noticed, and the locks go on", "[sqlite][trap][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  Outsider{ground.db}.run("PRAGMA wal_checkpoint(RESTART)");
  for (const char* suffix : {"-wal", "-shm"}) REQUIRE(::unlink((ground.db + suffix).c_str()) == 0);
  let_the_last_look_be_old();
  CHECK(lock.renew());  // it was in the database already
  Child other{[&] { return ground.lock().try_acquire() ? 1 : 0; }};
  CHECK(other.wait() == Exit{0, 0});
  lock.release();
  Child next{[&] { return ground.lock().try_acquire() ? 0 : 1; }};
  CHECK(next.wait() == Exit{0, 0});
  CHECK(ground.integrity() == "ok");
}
