// SPDX-License-Identifier: MIT
// Processes of other pid and user namespaces that use the same segment: pids, thread ids and user ids mean nothing there.
#include <sched.h>
#include <sys/prctl.h>

#include <atomic>
#include <string>
#include <vector>

#include "ground.hpp"

using namespace ground;

namespace {

// Runs `body` as the first process of a pid namespace of its own, whose pid is 1 like its twin's; it lives no longer than its parent. Tells 'x' where
// that is not allowed.
template <class Body>
Child first_process(Pipe& ready, Body body) {
  return Child{[&ready, body] {
    if (::unshare(CLONE_NEWPID) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
      ready.tell('x');
      return 0;
    }
    Child inner{[body] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      return ::getpid() == 1 ? body() : 98;
    }};
    return inner.wait(40s) == Exit{0, 0} ? 0 : 1;
  }};
}

}  // namespace

TEST_CASE("processes with equal pids, each the first of its pid namespace, exclude each other", "[shm][process]") {
  const Ground ground;
  const Shared<std::atomic<int>> inside, overlaps, total;
  Pipe ready;
  std::vector<Child> twins;
  for (int i = 0; i < 2; ++i)
    twins.push_back(first_process(ready, [&, i] {
      auto lock = ground.lock("x", {.expire = i ? never : Duration{1h}, .timeout = forever});
      ready.tell();
      for (int n = 0; n < 20000; ++n) {
        lock.acquire();
        if (inside->exchange(1) != 0) ++*overlaps;
        ++*total;
        inside->store(0);
        lock.release();
      }
      return 0;
    }));
  for (int i = 0; i < 2; ++i) {
    const char word = ready.hear();
    REQUIRE(word);
    if (word == 'x') return skip("no new pid namespace for this user");
  }
  for (Child& twin : twins) CHECK(twin.wait(40s) == Exit{0, 0});
  CHECK(overlaps->load() == 0);
  CHECK(total->load() == 40000);
}

TEST_CASE("a holder with the same pid in another pid namespace is alive while it lives, and dead when it is dead", "[shm][process]") {
  const Ground ground;
  Pipe ready, go;
  auto look = ground.lock();
  Child holder = first_process(ready, [&] {
    auto lock = ground.lock();
    lock.acquire();
    ready.tell();
    return go.hear() ? 0 : 1;  // ends with what it holds: no destructor of a child's objects runs after this
  });
  const char word = ready.hear();
  REQUIRE(word);
  if (word == 'x') return skip("no new pid namespace for this user");
  CHECK_FALSE(look.try_acquire());
  CHECK(look.holder()->pid == 1);
  // A waiter that is a twin, killed while it waits: nobody's death but its own.
  Child waiter = first_process(ready, [&] {
    auto lock = ground.lock("x", {.timeout = forever});
    ready.tell();
    lock.acquire();
    return 1;
  });
  REQUIRE(ready.hear() == '.');
  REQUIRE(eventually([&] { return look.holder()->waiting == std::uint64_t{1}; }));
  waiter.kill();
  CHECK_FALSE(look.try_acquire());
  CHECK_FALSE(look.try_acquire_for(50ms));
  CHECK(look.locked());
  CHECK(holder.running());
  go.tell();
  CHECK(holder.wait() == Exit{0, 0});
  CHECK(look.try_acquire_for(kPatience));
}

TEST_CASE("in another user namespace a lock that is held is held, or its segment is refused", "[shm][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  const bool stays_himself = GENERATE(true, false);
  CAPTURE(stays_himself);
  Child child{[&] {
    const std::string line = std::to_string(::geteuid()) + " " + std::to_string(::geteuid()) + " 1";
    if (::unshare(CLONE_NEWUSER) != 0) return 77;
    if (stays_himself) {
      const posix::UniqueFd map{::open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC)};
      if (::write(map.get(), line.data(), line.size()) < 0) return 77;
      auto mine = ground.lock();
      return mine.try_acquire() || mine.holder()->pid != ::getppid() ? 1 : 0;
    }
    try {  // he is nobody there, as is every other
      return ground.lock().try_acquire() ? 2 : 0;
    } catch (const BackendException&) {
      return 0;
    }
  }};
  const Exit exit = child.wait();
  if (exit.code == 77) return skip("no new user namespace for this user");
  CHECK(exit == Exit{0, 0});
  CHECK(lock.renew());
}
