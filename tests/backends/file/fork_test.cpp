// SPDX-License-Identifier: MIT
#include <sys/wait.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "ground.hpp"

using namespace ground;

namespace {

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

TEST_CASE("a lock's path can be told in a forked child though the store is gone", "[file][process]") {
  const Ground ground;
  auto lock = ground.lock();
  const std::string path = lock.path();
  std::filesystem::remove_all(ground.store);
  ground.dir.write("locks", "a file is in the way");
  Child child{[&] { return lock.path() == path ? 0 : 1; }};
  CHECK(child.wait() == Exit{0, 0});
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
