// SPDX-License-Identifier: MIT
// Children of a holder, and programs that it starts.
#include <dirent.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ground.hpp"

using namespace ground;

namespace {

struct Deed {
  const char* what;
  std::function<int(std::unique_ptr<FileLock>&)> act;  // in the child; the exit code
  Exit end{0, 0};
};

const std::vector<Deed> kDeeds{
    {"asks every verb", [](std::unique_ptr<FileLock>& lock) {
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
    {"tries to acquire", [](std::unique_ptr<FileLock>& lock) { return lock->try_acquire() || lock->try_acquire_for(20ms) ? 1 : 0; }},
    {"destroys the lock", [](std::unique_ptr<FileLock>& lock) {
       lock.reset();
       return 0;
     }},
    {"uses and destroys the lock", [](std::unique_ptr<FileLock>& lock) {
       if (lock->try_acquire()) return 1;
       lock.reset();
       return 0;
     }},
    {"ends by _exit", [](std::unique_ptr<FileLock>&) -> int { ::_exit(0); }},
    {"is killed", [](std::unique_ptr<FileLock>&) { return ::raise(SIGKILL); }, Exit{-1, SIGKILL}},
    {"crashes", [](std::unique_ptr<FileLock>&) {
       ::signal(SIGSEGV, SIG_DFL);
       return ::raise(SIGSEGV);
     }, Exit{-1, SIGSEGV}},
    {"forks a child that does all that", [](std::unique_ptr<FileLock>& lock) {
       Child grandchild{[&] {
         if (!throws<LockNotHeldException>([&] { lock->release(); })) return 1;
         if (lock->try_acquire()) return 2;
         lock.reset();
         return 0;
       }};
       return grandchild.wait() == Exit{0, 0} ? 0 : 1;
     }},
};

// Links of this process's descriptors that lead into `store`. No allocation: for children of processes with threads.
int descriptors_in(const char* store) {
  int count = 0;
  for (int fd = 3; fd < 512; ++fd) {
    char name[64] = "/proc/self/fd/", target[4096];
    char* digit = name + std::strlen(name);
    if (fd >= 100) *digit++ = static_cast<char>('0' + fd / 100);
    if (fd >= 10) *digit++ = static_cast<char>('0' + fd / 10 % 10);
    *digit++ = static_cast<char>('0' + fd % 10);
    const ssize_t size = ::readlink(name, target, sizeof target - 1);
    if (size <= 0) continue;
    target[size] = '\0';
    // The directory itself carries no lock of anybody's.
    if (std::strncmp(target, store, std::strlen(store)) == 0 && target[std::strlen(store)] == '/') ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("whatever a forked child does, its parent holds the lock, and nobody does after the parent's death", "[file][process]") {
  for (const Deed& deed : kDeeds)
    for (const Duration expire : {never, Duration{1h}}) {
      CAPTURE(deed.what, expire.text());
      const Ground ground;
      auto mine = ground.lock("x", {.timeout = kPatience});
      Pipe ready;
      Child parent{[&] {
        auto lock = std::make_unique<FileLock>("x", Options{.expire = expire}, ground.store);
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
      CHECK_FALSE(flock_would_get(mine.path()));
      parent.kill();
      mine.acquire();
      CHECK(mine.abandoned());
    }
}

TEST_CASE("a child that ends by exit, with all that belongs to it, leaves its parent's lock alone", "[file][process]") {
  const Ground ground;
  static std::unique_ptr<FileLock> global;
  Child parent{[&] {
    global = std::make_unique<FileLock>("x", Options{}, ground.store);
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

TEST_CASE("a child that outlives its parent does not keep the lock, and can have it", "[file][process]") {
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

TEST_CASE("a child waits for its parent's lock as everybody does, on the same object even", "[file][process]") {
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

TEST_CASE("a lock's path can be told in a forked child though the store is gone", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  const std::string path = lock.path();
  std::filesystem::remove_all(ground.store);
  ground.dir.write("locks", "a file is in the way");
  Child child{[&] { return lock.path() == path ? 0 : 1; }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("a lock does not leak through exec, posix_spawn or system", "[file][process]") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  auto lock = ground.lock("x", {.expire = expire});
  lock.acquire();
  (void)lock.locked();
  const std::string command = "! ls -l /proc/self/fd | grep -q -F '" + ground.store + "'";
  Child exec{[&] {
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    return 1;
  }};
  CHECK(exec.wait() == Exit{0, 0});

  std::string shell = "sh", option = "-c", text = command;
  char* argv[] = {shell.data(), option.data(), text.data(), nullptr};
  pid_t pid = -1;
  REQUIRE(::posix_spawnp(&pid, "sh", nullptr, nullptr, argv, environ) == 0);
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
  CHECK(std::system(command.c_str()) == 0);
  CHECK(lock.renew());
}

TEST_CASE("a holder that starts a program in the background and dies leaves the lock free", "[file][process]") {
  const Ground ground;
  auto mine = ground.lock("x", {.timeout = kPatience});
  Pipe ready;
  Child holder{[&] {
    auto lock = ground.lock();
    lock.acquire();
    ready.tell(std::system("sleep 3 > /dev/null 2>&1 &") == 0 ? 'y' : 'n');
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear() == 'y');
  CHECK_FALSE(mine.try_acquire());
  holder.kill();
  mine.acquire();
  CHECK(mine.abandoned());
}

TEST_CASE("a holder that becomes another program has let go", "[file][process]") {
  const Ground ground;
  auto mine = ground.lock("x", {.timeout = kPatience});
  Pipe ready, go;
  Child holder{[&] {
    auto lock = ground.lock("x", {.expire = 1h});
    lock.acquire();
    ready.tell();
    go.hear();
    ::execlp("sleep", "sleep", "60", nullptr);
    return 1;
  }};
  REQUIRE(ready.hear());
  CHECK_FALSE(mine.try_acquire());
  go.tell();
  mine.acquire();
  CHECK(mine.abandoned());
  CHECK(holder.running());
}

TEST_CASE("no child inherits a lock from a parent whose threads open and close them meanwhile", "[file][process]") {
  const Ground ground;
  const auto opens_the_store = ground.lock();
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; !over; ++i) {
        auto lock = ground.lock(std::to_string(t) + "/" + std::to_string(i % 8));
        if (lock.try_acquire()) (void)lock.locked();
      }
    });
  int inherited = 0, forks = 0;
  for (; forks < 100; ++forks) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(descriptors_in(ground.store.c_str()) == 0 ? 0 : 1);
    REQUIRE(child > 0);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    inherited += status != 0;
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(inherited == 0);
}

TEST_CASE("a child forked while other threads are anywhere in a lock can use locks", "[file][process]") {
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

TEST_CASE("a spawned child that was given the descriptors keeps a dead parent's lock until it ends", "[file][process]") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  const Shared<std::atomic<pid_t>> spawned;
  auto mine = ground.lock("x", {.timeout = kPatience});
  Pipe ready;
  Child parent{[&] {
    auto lock = ground.lock("x", {.expire = expire});
    if (!lock.inheritable().empty()) return 1;
    lock.acquire();
    const std::vector<int> given = lock.inheritable();
    if (given.empty()) return 2;
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    for (const int fd : given) ::posix_spawn_file_actions_adddup2(&actions, fd, fd);
    std::string sleep = "sleep", time = "60";
    char* argv[] = {sleep.data(), time.data(), nullptr};
    pid_t pid = -1;
    if (::posix_spawnp(&pid, "sleep", &actions, nullptr, argv, environ) != 0) return 3;
    ::posix_spawn_file_actions_destroy(&actions);
    spawned->store(pid);
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  parent.kill();
  CHECK_FALSE(mine.try_acquire());
  CHECK_FALSE(mine.try_acquire_for(50ms));
  CHECK(mine.locked());
  CHECK(mine.holder()->pid == parent.pid());
  CHECK_FALSE(flock_would_get(mine.path()));
  CHECK(FileLock::clean(ground.store) == 0);
  REQUIRE(::kill(spawned->load(), SIGKILL) == 0);
  mine.acquire();
  CHECK(mine.abandoned());
}

TEST_CASE("a child that was given the descriptors keeps nothing once the parent has released", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock(), other = ground.lock();
  lock.acquire();
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (const int fd : lock.inheritable()) ::posix_spawn_file_actions_adddup2(&actions, fd, fd);
  std::string sleep = "sleep", time = "60";
  char* argv[] = {sleep.data(), time.data(), nullptr};
  pid_t pid = -1;
  REQUIRE(::posix_spawnp(&pid, "sleep", &actions, nullptr, argv, environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  lock.release();
  CHECK(other.try_acquire());
  CHECK(::kill(pid, SIGKILL) == 0);
  CHECK(::waitpid(pid, nullptr, 0) == pid);
  CHECK(other.renew());
}
