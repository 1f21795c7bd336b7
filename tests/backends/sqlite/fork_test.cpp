// SPDX-License-Identifier: MIT
// Children of a process that has the database open.
#include <dirent.h>
#include <fcntl.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ground.hpp"

using namespace ground;

namespace {

// How many descriptors of this process lead to the database or what lies beside it.
int open_files(const std::string& db) {
  int found = 0;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir{::opendir("/proc/self/fd"), ::closedir};
  while (const dirent* entry = ::readdir(dir.get())) {
    char target[4096];
    const ssize_t size = ::readlink((std::string{"/proc/self/fd/"} + entry->d_name).c_str(), target, sizeof target);
    found += size > 0 && std::string(target, static_cast<std::size_t>(size)).starts_with(db);
  }
  return found;
}

}  // namespace

TEST_CASE("no connection is carried across a fork", "[sqlite][fork][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  REQUIRE(open_files(ground.db) > 1);
  Child child{[&] { return open_files(ground.db); }};
  CHECK(child.wait() == Exit{0, 0});  // none: neither the database, nor its log, nor the companion
  lock.release();
}

TEST_CASE("the child of a holder opens the database for itself, with locks of its own", "[sqlite][fork][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  Pipe ready;
  Child child{[&] {
    auto own = ground.lock("own");
    own.acquire();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  lock.release();
  // SQLite of the child must hold what keeps an outsider from taking himself for the only one: he would remove the log.
  Child outsider{[&] {
    const Outsider them{ground.db};
    return them.ask("SELECT count(*) FROM sherlock_locks") == "1" ? 0 : 1;
  }};
  CHECK(outsider.wait() == Exit{0, 0});
  CHECK(exists(ground.db + "-wal"));
  CHECK_FALSE(is_free(ground, "own"));
  child.kill();
  auto next = ground.lock("own");
  CHECK(next.try_acquire_for(5s));
  CHECK(next.abandoned());
}

TEST_CASE("a fork in the middle of other threads' statements leaves no child without locks", "[sqlite][fork][process]") {
  // LLVM 18 and 19 are the first whose sanitizers hold their allocator over a fork (pull requests 75290 and 96600).
  if (playground::kSanitized) return skip("a sanitizer may leave its allocator locked in a child that was forked beside other threads");
  const Ground ground;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, i] {
      auto lock = ground.lock("name " + std::to_string(i / 2));
      while (!stop) {
        lock.acquire();
        lock.release();
      }
    });
  for (int round = 0; round < 100; ++round) {
    Child child{[&] {
      auto lock = ground.lock("child", {.timeout = 10s});
      lock.acquire();
      lock.release();
      return 0;
    }};
    wrong += !(child.wait() == Exit{0, 0});
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(ground.integrity() == "ok");
}

TEST_CASE("a program that is started keeps neither the lock nor the database", "[sqlite][fork][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  const std::string count = "ls -l /proc/self/fd | grep -c '" + ground.db + "'";
  CHECK(std::system(("test \"$(" + count + ")\" = 0").c_str()) == 0);
  Child holder{[&] {
    auto own = ground.lock("own");
    own.acquire();
    ::execlp("true", "true", static_cast<char*>(nullptr));
    return 1;
  }};
  CHECK(holder.wait() == Exit{0, 0});
  auto next = ground.lock("own");
  CHECK(next.try_acquire());
}
