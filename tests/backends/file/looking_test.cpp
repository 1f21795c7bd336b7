// SPDX-License-Identifier: MIT
// Looking at locks disturbs nobody; list and clean.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/key.hpp"
#include "ground.hpp"
#include "support/fault_script.hpp"

using namespace ground;
using support::FaultScript;
using support::Syscalls;
namespace fs = std::filesystem;

namespace {

struct Board {
  std::atomic<int> over{0}, tries{0}, failures{0}, looks{0}, wrong{0};
};

}  // namespace

TEST_CASE("looking makes no try for a free lock fail", "[file][process]") {
  constexpr int kTries = 50000;
  const Ground ground;
  const Shared<Board> board;
  { auto first = ground.lock("1"), second = ground.lock("2"); }
  std::vector<Child> lookers, triers;
  for (int i = 0; i < 3; ++i)
    lookers.emplace_back([&, i] {
      const auto first = ground.lock("1"), second = ground.lock("2");
      while (!board->over.load()) {
        if (i == 0) (void)first.holder();
        (void)first.locked();
        (void)second.locked();
        ++board->looks;
      }
      return 0;
    });
  REQUIRE(eventually([&] { return board->looks.load() > 10; }));
  for (const char* name : {"1", "2"})
    triers.emplace_back([&, name] {
      auto lock = ground.lock(name, {.expire = *name == '1' ? never : Duration{1h}});
      for (int i = 0; i < kTries; ++i) {
        ++board->tries;
        const auto asked = std::chrono::steady_clock::now();
        if (lock.try_acquire())
          lock.release();
        else if (std::chrono::steady_clock::now() - asked < 400ms)  // else somebody was stopped in the middle of a look, and was waited for
          ++board->failures;
      }
      return 0;
    });
  for (Child& trier : triers) CHECK(trier.wait(60s) == Exit{0, 0});
  CHECK(eventually([&] { return board->looks.load() > 100; }));
  board->over = 1;
  for (Child& looker : lookers) CHECK(looker.wait() == Exit{0, 0});
  CHECK(board->tries.load() == 2 * kTries);
  CHECK(board->failures.load() == 0);
}

TEST_CASE("a look that takes its time makes no try fail, and nobody who looks takes it for a holder", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  lock.release();
  const ino_t inode = stat_of(lock.path()).st_ino;
  const bool tries = GENERATE(true, false);
  CAPTURE(tries);
  Pipe in;
  Child looker{[&] {
    FaultScript script;
    // On a busy machine a process may be away from its processor for that long at any moment.
    script.replace<&Syscalls::flock>([&](int fd, int operation) {
      const int done = posix::real_syscalls().flock(fd, operation);
      struct stat file {};
      if (done == 0 && operation != LOCK_UN && ::fstat(fd, &file) == 0 && file.st_ino == inode) {
        in.tell();
        std::this_thread::sleep_for(30ms);
      }
      return done;
    });
    return ground.lock().locked() ? 1 : 0;
  }};
  REQUIRE(in.hear());
  if (tries)
    CHECK(lock.try_acquire());
  else
    CHECK_FALSE(lock.locked());
  CHECK(looker.wait() == Exit{0, 0});
}

TEST_CASE("a look that was cut off by death or a stop makes no try fail for long", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  lock.release();
  std::minstd_rand random{7};
  for (int i = 0; i < 60; ++i) {
    const Shared<std::atomic<bool>> begun;
    Child looker{[&] {
      const auto mine = ground.lock();
      for (;;) {
        (void)mine.locked();
        begun->store(true);
      }
      return 0;
    }};
    REQUIRE(eventually([&] { return begun->load(); }));
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 300});
    looker.kill();
    CHECK(lock.try_acquire());
    lock.release();
  }
}

TEST_CASE("a look between two holders never says that nobody holds what is always held", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  std::vector<Child> triers;
  const Shared<Board> board;
  for (int i = 0; i < 2; ++i)
    triers.emplace_back([&] {
      auto mine = ground.lock();
      while (!board->over.load()) board->failures += mine.try_acquire();
      return 0;
    });
  int wrong = 0;
  for (int i = 0; i < 20000; ++i) wrong += !lock.locked();
  board->over = 1;
  for (Child& trier : triers) CHECK(trier.wait() == Exit{0, 0});
  CHECK(wrong == 0);
  CHECK(board->failures.load() == 0);
}

TEST_CASE("the holder is named, with what it says of itself", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock("x", {.ns = "shop", .expire = 1h, .label = "nightly backup of /home"});
  const auto look = ground.lock("x", {.ns = "shop"});
  CHECK_FALSE(look.holder());
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
  CHECK(*holder->expiry > *holder->since);

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

  auto plain = ground.lock();
  plain.acquire();
  CHECK(plain.holder()->label == program_invocation_short_name);
  CHECK_FALSE(plain.holder()->expiry);
}

TEST_CASE("the locks of a store are listed by namespace and name", "[file]") {
  const Ground ground;
  CHECK(FileLock::list(ground.store).empty());
  CHECK(FileLock::clean(ground.store) == 0);
  CHECK_FALSE(fs::exists(ground.store));
  auto b = ground.lock("b"), a = ground.lock("a"), z = ground.lock("z", {.ns = "n"}), strange = ground.lock(std::string{"../\0\xff", 5});
  CHECK(FileLock::list(ground.store).empty());  // none of them was ever taken
  for (FileLock* lock : {&b, &a, &z, &strange}) lock->acquire();
  a.release();
  const auto all = FileLock::list(ground.store);
  REQUIRE(all.size() == 4);
  CHECK(all[0].name == (std::string{"../\0\xff", 5}));
  CHECK(all[1].name == "a");
  CHECK(all[2].name == "b");
  CHECK(all[3].name == "z");
  CHECK(all[3].ns == "n");
  CHECK_FALSE(all[1].holder);
  REQUIRE(all[2].holder);
  CHECK(all[2].holder->fence == b.fence());
  for (const auto& [info, lock] : {std::pair{all[1], &a}, std::pair{all[2], &b}, std::pair{all[3], &z}, std::pair{all[0], &strange}}) {
    CHECK(info.path == lock->path());
    CHECK(info.key == lock->key());
    CHECK(fs::exists(info.path));
  }
}

TEST_CASE("cleaning removes the files and entries that nobody uses, and nothing else", "[file][process]") {
  const Ground ground;
  auto free = ground.lock("free"), held = ground.lock("held"), leased = ground.lock("leased", {.expire = 1h}), foreign = ground.lock("foreign");
  for (FileLock* lock : {&free, &held, &leased, &foreign}) lock->acquire();
  free.release();
  foreign.release();
  const Foreigner foreigner{foreign.path()};
  REQUIRE(foreigner.try_lock());
  Child dies{[&] {
    auto lock = ground.lock("abandoned");
    lock.acquire();
    return ::raise(SIGKILL);
  }};
  CHECK(dies.wait() == Exit{-1, SIGKILL});

  const std::string orphan = detail::make_key("", "orphan") + ".lock";
  const std::vector<std::string> others{"notes.txt", "x.lock", "archive-0123456789abcdef.lock", "UPPER-0123456789ABCDEF0123456789ABCDEF.lock",
                                        detail::make_key("", "y") + ".lock.old", "-" + std::string(40, 'a') + ".lock"};
  ground.dir.write("locks/" + orphan);
  for (const std::string& name : others) ground.dir.write("locks/" + name, "precious");
  fs::create_directory(ground.store + "/" + detail::make_key("", "directory") + ".lock");
  fs::create_symlink("/etc/passwd", ground.store + "/" + detail::make_key("", "link") + ".lock");

  CHECK(FileLock::clean(ground.store) == 2);
  CHECK_FALSE(fs::exists(free.path()));
  CHECK_FALSE(fs::exists(ground.store + "/" + orphan));
  CHECK(fs::exists(held.path()));
  CHECK(fs::exists(leased.path()));
  CHECK(fs::exists(foreign.path()));
  for (const std::string& name : others) CHECK(fs::exists(ground.store + "/" + name));
  CHECK(fs::is_directory(ground.store + "/" + detail::make_key("", "directory") + ".lock"));
  CHECK(fs::is_symlink(ground.store + "/" + detail::make_key("", "link") + ".lock"));
  const auto left = FileLock::list(ground.store);
  CHECK(left.size() == 4);
  CHECK(std::none_of(left.begin(), left.end(), [](const LockInfo& info) { return info.name == "free"; }));

  CHECK(held.renew());
  CHECK(leased.renew());
  auto successor = ground.lock("abandoned");
  CHECK(successor.try_acquire());
  CHECK(successor.abandoned());
  CHECK(free.try_acquire());  // an old object, of a lock that was forgotten
  CHECK(fs::exists(free.path()));
  CHECK_FALSE(flock_would_get(free.path()));
  foreigner.unlock();
  successor.release();
  CHECK(FileLock::clean(ground.store) == 2);
}

TEST_CASE("a cleaned lock's fences go on", "[file]") {
  const Ground ground;
  auto lock = ground.lock();
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    lock.acquire();
    CHECK(lock.fence() > last);
    last = lock.fence();
    CHECK_FALSE(lock.abandoned());
    lock.release();
    CHECK(FileLock::clean(ground.store) == 1);
  }
}

TEST_CASE("what dead waiters leave behind does not keep a lock from being cleaned", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
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
  lock.release();
  CHECK(FileLock::clean(ground.store) == 1);
  CHECK(FileLock::list(ground.store).empty());
}

TEST_CASE("cleaning forgets a lock whose file is gone already", "[file]") {
  const Ground ground;
  {
    auto lock = ground.lock();
    lock.acquire();
    lock.release();
    fs::remove(lock.path());
  }
  FileLock::clean(ground.store);
  CHECK(FileLock::list(ground.store).empty());
}

TEST_CASE("cleaning again and again beside those who lock lets nobody in twice", "[file][process]") {
  constexpr int kNames = 3;
  struct Names {
    std::atomic<int> inside[kNames], overlaps{0}, untold{0}, over{0}, total{0};
  };
  const Ground ground;
  const Shared<Names> board;
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i)
    children.emplace_back([&, i] {
      std::minstd_rand random{static_cast<unsigned>(i + 1)};
      std::vector<std::unique_ptr<FileLock>> locks;
      for (int n = 0; n < kNames; ++n)
        locks.push_back(std::make_unique<FileLock>(std::to_string(n), Options{.expire = i == 0 ? Duration{1h} : never, .timeout = forever}, ground.store));
      while (!board->over.load()) {
        const std::size_t n = random() % kNames;
        FileLock& lock = *locks[n];
        if (random() % 3 == 0) {
          if (!lock.try_acquire()) continue;
        } else {
          lock.acquire();
        }
        if (board->inside[n].exchange(1) != 0) ++board->overlaps;
        if (random() % 16 == 0) std::this_thread::sleep_for(500us);
        ++board->total;
        board->inside[n].store(0);
        lock.release();  // a loss would be an exception
      }
      return 0;
    });
  std::size_t cleaned = 0;
  for (int i = 0; i < 300; ++i) {
    const int before = board->total.load();
    cleaned += FileLock::clean(ground.store);
    REQUIRE(eventually([&] { return board->total.load() > before; }));
  }
  board->over = 1;
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  CHECK(board->overlaps.load() == 0);
  CHECK(cleaned > 0);
}
