// SPDX-License-Identifier: MIT
// Other programs that lock the same file.
#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "backends/file/file_store.hpp"
#include "core/key.hpp"
#include "ground.hpp"
#include "local/table.hpp"
#include "local/word.hpp"
#include "support/fault_script.hpp"
#include "support/program.hpp"
#include "support/says.hpp"

using namespace ground;
using support::Program;
using support::run;
using support::says;

namespace {

bool waits_for_a_foreigner(const FileLock& lock) {
  return eventually([&] {
    const auto holder = lock.holder();
    return holder && holder->waiting == std::uint64_t{1};
  });
}

// One of us who waits for a foreigner with "x". In the middle of a try it would keep the key to itself for as long as it is stopped.
void stop_between_tries(Child& waiter, const Ground& ground) {
  const auto store = file::FileStore::open(FileClient{ground.store}, posix::Missing::refuse);
  REQUIRE(eventually([&] {
    waiter.stop();
    const local::Found found = store->table().find(local::KeyHash::of(detail::make_key("", "x")));
    if (local::gate::state(found.entry->word.load()) == local::GateState::foreign) return true;
    waiter.resume();
    return false;
  }));
}

const std::vector<std::string> kPython{"/usr/bin/python3", "-c"};
bool python_has_filelock() { return run({kPython[0], kPython[1], "import filelock"}).code == 0; }

}  // namespace

TEST_CASE("flock(1) is kept out while we hold, and let in when we do not", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  CHECK(run({"flock", "-n", lock.path(), "true"}).code == 1);
  CHECK(run({"flock", "-n", "-s", lock.path(), "true"}).code == 1);
  lock.release();
  CHECK(run({"flock", "-n", lock.path(), "true"}).code == 0);
}

TEST_CASE("flock(1) that waits for us gets its turn when we release", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  Program waiter{{"flock", "--verbose", lock.path(), "echo", "in"}};
  std::this_thread::sleep_for(20ms);  // it may wait by now, or come later: it must get in either way
  CHECK(waiter.out().find("in\n") == std::string::npos);
  CHECK(waiter.process().running());
  lock.release();
  CHECK(waiter.wait() == Exit{0, 0});
  CHECK_THAT(waiter.out(), says("in\n"));
}

TEST_CASE("we are kept out while flock(1) holds, and it is a holder without facts", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = 5ms});
  lock.acquire();
  lock.release();
  Program flock{{"flock", "-F", lock.path(), "sleep", "60"}};
  REQUIRE(eventually([&] { return lock.locked(); }));
  CHECK_FALSE(lock.try_acquire());
  CHECK_FALSE(lock.try_acquire_for(5ms));
  CHECK_THROWS_AS(lock.acquire(), LockTimeoutException);
  const auto holder = lock.holder();
  REQUIRE(holder);
  CHECK_FALSE(holder->pid);
  CHECK(holder->program.empty());
  CHECK(holder->label.empty());
  CHECK_FALSE(holder->fence);
  const auto all = FileLock::list(ground.store);
  REQUIRE(all.size() == 1);
  CHECK(all[0].holder);

  std::atomic<bool> in{false};
  std::thread waiter{[&] {
    auto mine = ground.lock("x", {.timeout = forever});
    mine.acquire();
    in = true;
    mine.release();
  }};
  CHECK(waits_for_a_foreigner(lock));
  CHECK_FALSE(in);
  flock.process().kill();
  waiter.join();
  CHECK(in);
  CHECK_FALSE(lock.locked());
  CHECK_FALSE(lock.holder());
}

TEST_CASE("Python's filelock is kept out while we hold, and keeps us out", "[file][process]") {
  if (!python_has_filelock()) return skip("/usr/bin/python3 has no filelock (Debian: python3-filelock)");
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  const struct stat before = stat_of(lock.path());
  const std::string try_it = "import filelock, sys\n"
                             "try:\n"
                             "  filelock.FileLock(sys.argv[1]).acquire(timeout=0)\n"
                             "except filelock.Timeout:\n"
                             "  sys.exit(7)\n";
  CHECK(run({kPython[0], kPython[1], try_it, lock.path()}).code == 7);
  CHECK(lock.renew());
  lock.release();
  CHECK(run({kPython[0], kPython[1], try_it, lock.path()}).code == 0);

  Program python{{kPython[0], kPython[1], "import filelock, sys, time\n"
                                          "lock = filelock.FileLock(sys.argv[1])\n"
                                          "lock.acquire()\n"
                                          "print('in', flush=True)\n"
                                          "time.sleep(60)\n", lock.path()}};
  REQUIRE(eventually([&] { return python.out() == "in\n"; }));
  CHECK_FALSE(lock.try_acquire());
  CHECK(lock.locked());
  python.process().kill();
  CHECK(lock.try_acquire_for(kPatience));
  CHECK(stat_of(lock.path()).st_ino == before.st_ino);
}

TEST_CASE("a foreign shared flock keeps us out, and is kept out", "[file]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  const Foreigner reader{lock.path(), O_RDONLY};
  CHECK_FALSE(reader.try_lock(LOCK_SH));
  lock.release();
  REQUIRE(reader.try_lock(LOCK_SH));
  CHECK_FALSE(lock.try_acquire());
  auto lease = ground.lock("x", {.expire = 1h});
  CHECK_FALSE(lease.try_acquire());
  reader.unlock();
  CHECK(lock.try_acquire());
}

TEST_CASE("who looks sees a foreign shared flock, too", "[file]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  lock.release();
  const Foreigner reader{lock.path(), O_RDONLY};
  REQUIRE(reader.try_lock(LOCK_SH));
  REQUIRE_FALSE(lock.try_acquire());
  CHECK(lock.locked());
  CHECK(lock.holder());
}

TEST_CASE("during a lease foreign exclusive locks are kept out", "[file]") {
  const Ground ground;
  auto lease = ground.lock("x", {.expire = 1h});
  lease.acquire();
  CHECK_FALSE(flock_would_get(lease.path()));
  CHECK(run({"flock", "-n", lease.path(), "true"}).code == 1);
  lease.release();
  CHECK(flock_would_get(lease.path()));
}

TEST_CASE("a foreigner that unlocks without closing is noticed", "[file]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = forever, .retry_interval = 1h});
  const auto look = ground.lock();
  lock.acquire();
  lock.release();
  const Foreigner foreigner{lock.path()};
  REQUIRE(foreigner.try_lock());
  std::thread waiter{[&] {
    lock.acquire();
    lock.release();
  }};
  CHECK(waits_for_a_foreigner(look));
  foreigner.unlock();
  waiter.join();
}

TEST_CASE("who has waited for a foreigner does not close the watch with the lock in hand, and watches the next one with it", "[file]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = forever, .retry_interval = 1h});
  const auto look = ground.lock();
  lock.acquire();
  lock.release();
  support::FaultScript faults;
  faults.count<&support::Syscalls::inotify_init1>();
  faults.count<&support::Syscalls::inotify_add_watch>();
  const Foreigner foreigner{lock.path()};
  for (int times = 1; times <= 3; ++times) {
    REQUIRE(foreigner.try_lock());
    std::thread waiter{[&] { lock.acquire(); }};
    CHECK(waits_for_a_foreigner(look));
    CHECK(eventually([&] { return faults.calls<&support::Syscalls::inotify_add_watch>() >= times; }));
    foreigner.unlock();
    waiter.join();
    lock.release();
  }
  CHECK(faults.calls<&support::Syscalls::inotify_init1>() == 1);
}

TEST_CASE("waiting for a foreigner can be cancelled, and ends at the deadline", "[file]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = forever, .retry_interval = 1h});
  const auto look = ground.lock();
  lock.acquire();
  lock.release();
  const Foreigner foreigner{lock.path()};
  REQUIRE(foreigner.try_lock());
  std::stop_source stop;
  std::atomic<bool> cancelled{false};
  std::thread waiter{[&] { cancelled = throws<LockCancelledException>([&] { lock.acquire(stop.get_token()); }); }};
  CHECK(waits_for_a_foreigner(look));
  stop.request_stop();
  waiter.join();
  CHECK(cancelled);
  CHECK_FALSE(lock.try_acquire_for(20ms));
  CHECK(look.holder()->waiting == std::uint64_t{0});
  foreigner.unlock();
  CHECK(lock.try_acquire());
}

TEST_CASE("when the one of us who watches a foreigner dies or stops, another takes over", "[file][process]") {
  const Ground ground;
  const bool dies = GENERATE(true, false);
  auto look = ground.lock();
  look.acquire();
  look.release();
  const Foreigner foreigner{look.path()};
  REQUIRE(foreigner.try_lock());
  const auto wait_for_it = [&] {
    auto lock = ground.lock("x", {.timeout = forever});
    lock.acquire();
    lock.release();
    return 0;
  };
  Child first{wait_for_it};
  CHECK(waits_for_a_foreigner(look));
  Child second{wait_for_it};
  REQUIRE(eventually([&] { return look.holder()->waiting == std::uint64_t{2}; }));
  if (dies)
    first.kill();
  else
    stop_between_tries(first, ground);
  foreigner.unlock();
  CHECK(second.wait() == Exit{0, 0});
  if (dies) return;
  first.resume();
  CHECK(first.wait() == Exit{0, 0});
}

TEST_CASE("a try gets what a foreigner has let go, though one of us who waited for it does not move", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  lock.release();
  const Foreigner foreigner{lock.path()};
  REQUIRE(foreigner.try_lock());
  Child waiter{[&] {
    auto mine = ground.lock("x", {.timeout = forever});
    mine.acquire();
    mine.release();
    return 0;
  }};
  CHECK(waits_for_a_foreigner(lock));
  stop_between_tries(waiter, ground);
  CHECK_FALSE(lock.try_acquire());
  foreigner.unlock();
  CHECK(lock.try_acquire());
  CHECK_FALSE(foreigner.try_lock());
  lock.release();
  waiter.resume();
  CHECK(waiter.wait() == Exit{0, 0});
}

TEST_CASE("a foreigner blocked in flock(2) gets its turn among many of us", "[file][process]") {
  const Ground ground;
  const Shared<std::atomic<bool>> over;
  const Shared<std::atomic<int>> turns;
  auto lock = ground.lock();
  lock.acquire();
  std::vector<Child> ours;
  for (int i = 0; i < 3; ++i)
    ours.emplace_back([&] {
      auto mine = ground.lock("x", {.timeout = forever});
      while (!over->load()) {
        mine.acquire();
        ++*turns;
        mine.release();
      }
      return 0;
    });
  Child foreigner{[&] {
    const Foreigner me{lock.path()};
    for (int i = 0; i < 20; ++i) {
      me.lock();
      me.unlock();
    }
    return 0;
  }};
  lock.release();
  CHECK(foreigner.wait() == Exit{0, 0});
  // And it does not stop us either.
  const int before = turns->load();
  CHECK(eventually([&] { return turns->load() > before + 50; }));
  over->store(true);
  for (Child& child : ours) CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("the lock file is one inode for ever, and nothing of ours is in it", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  const struct stat first = stat_of(lock.path());
  CHECK(S_ISREG(first.st_mode));
  CHECK((first.st_mode & 07777) == 0600);
  CHECK(first.st_size == 0);
  lock.release();
  std::vector<Child> children;
  for (int i = 0; i < 3; ++i)
    children.emplace_back([&, i] {
      auto mine = ground.lock("x", {.expire = i == 0 ? never : Duration{1h}, .timeout = forever});
      for (int n = 0; n < 300; ++n) {
        mine.acquire();
        if (!mine.renew()) return 1;
        mine.release();
      }
      return 0;
    });
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  CHECK(stat_of(lock.path()).st_ino == first.st_ino);
  CHECK(stat_of(lock.path()).st_size == 0);
}

TEST_CASE("what others write into the lock file is theirs: it disturbs nobody and stays", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock(), other = ground.lock();
  lock.acquire();
  CHECK(run({"sh", "-c", "echo mine > \"$1\"", "sh", lock.path()}).code == 0);
  let_the_last_look_be_old();
  CHECK(lock.renew());
  CHECK_FALSE(other.try_acquire());
  lock.release();
  CHECK(other.try_acquire());
  other.release();
  CHECK(run({"cat", lock.path()}).out == "mine\n");

  other.acquire();
  CHECK(run({"sh", "-c", ": > \"$1\"", "sh", lock.path()}).code == 0);
  let_the_last_look_be_old();
  CHECK(other.renew());
  CHECK_FALSE(lock.try_acquire());
  other.release();
}

TEST_CASE("opening and closing the lock file elsewhere in the holder's process does not free it", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  for (int i = 0; i < 1000; ++i) ::close(::open(lock.path().c_str(), O_RDWR | O_CLOEXEC));
  Child other{[&] { return ground.lock().try_acquire() ? 1 : 0; }};
  CHECK(other.wait() == Exit{0, 0});
  lock.release();
}
