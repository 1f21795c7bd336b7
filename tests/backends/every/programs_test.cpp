// SPDX-License-Identifier: MIT
// Programs that a holder starts, or becomes, whatever the store.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include "ground.hpp"

using namespace ground;

TEST_CASE("a lock does not leak through exec, posix_spawn or system", "[process]") {
  const Ground ground;
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  auto lock = ground.lock("x", {.expire = expire});
  lock.acquire();
  (void)lock.locked();
  const std::string command = "! ls -l /proc/self/fd | grep -q -F '" + ground.client + "'";
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

TEST_CASE("a holder that starts a program in the background and dies leaves the lock free", "[process]") {
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

TEST_CASE("a holder that becomes another program has let go", "[process]") {
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

TEST_CASE("a spawned child that was given the descriptors keeps a dead parent's lock until it ends", "[process]") {
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
  CHECK(ground.strangers_agree(false));
  CHECK(StoreLock::clean(ground.client) == 0);
  REQUIRE(::kill(spawned->load(), SIGKILL) == 0);
  mine.acquire();
  CHECK(mine.abandoned());
}

TEST_CASE("a child that was given the descriptors keeps nothing once the parent has released", "[process]") {
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
namespace {

// The wait status of such a child.
[[gnu::noinline]] int end_of_vforked(const char* program) {
  const pid_t child = ::vfork();
  if (child == 0) {
    if (program) ::execlp(program, program, nullptr);
    ::_exit(program ? 1 : 0);
  }
  int status = -1;
  return child > 0 && ::waitpid(child, &status, 0) == child ? status : -1;
}

}  // namespace

TEST_CASE("a child of vfork that becomes another program, or ends, leaves its parent's lock alone", "[process]") {
  const Ground ground;
  auto lock = ground.lock("x", {.expire = 1h}), other = ground.lock();
  lock.acquire();
  for (const char* program : {"true", static_cast<const char*>(nullptr)}) {
    CHECK(end_of_vforked(program) == 0);
    CHECK(lock.renew());
    CHECK_FALSE(other.try_acquire());
  }
  CHECK_NOTHROW(lock.release());
}
