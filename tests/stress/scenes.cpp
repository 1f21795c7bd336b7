// SPDX-License-Identifier: MIT
#include "scenes.hpp"

#include <fcntl.h>
#include <sys/file.h>

namespace stress {

Scenery* scenery = nullptr;

namespace {

using namespace std::chrono_literals;

void hold_and_release(sherlock::BaseLock& lock, int who, nanoseconds time = {}, bool renew = false) {
  lock.acquire();
  {
    const Inside inside{scenery->lock, who, 1, lock.fence()};
    if (time.count() != 0) nap(time);
    if (renew && !lock.renew()) throw std::runtime_error{"renew: lost"};
  }
  if (who == helper_id) scenery->freed = now_ns();
  lock.release();
}

void wait_until(const std::function<bool()>& ready) {
  const std::int64_t give_up = now_ns() + 10'000'000'000;
  while (!ready() && now_ns() < give_up) nap(100us);
}

void nothing(const Store&, std::vector<pid_t>&) {}

void made_before(const Store& store, std::vector<pid_t>&) {
  reap(spawn([&] {
    const auto lock = store.lock("x");
    lock->acquire();
    lock->release();
  }));
}

auto uses_it(sherlock::Duration expire, bool renew) {
  return [=](const Store& store, const std::function<void()>& arm_now) {
    const auto lock = store.lock("x", {.expire = expire, .timeout = 5s});
    arm_now();
    hold_and_release(*lock, victim_id, 0ns, renew);
    hold_and_release(*lock, victim_id);
  };
}

void held_for_a_while(const Store& store, std::vector<pid_t>& helpers) {
  helpers.push_back(spawn([&] {
    const auto lock = store.lock("x");
    hold_and_release(*lock, helper_id, 12ms);
  }));
  wait_until([] { return scenery->lock.occupant != 0; });
}

void foreign_for_a_while(const Store& store, std::vector<pid_t>& helpers) {
  made_before(store, helpers);
  const std::string path = store.path("x");
  const Shared<std::atomic<bool>> has;
  helpers.push_back(spawn([&] {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    flock(fd, LOCK_EX);
    *has = true;
    nap(12ms);
    scenery->freed = now_ns();
    close(fd);
  }));
  wait_until([&] { return has->load(); });
}

// Stopped past the end of its lease; goes on when all is over.
void late_holder(const Store& store, std::vector<pid_t>& helpers) {
  const Shared<std::atomic<bool>> has;
  std::atomic<bool>* const had = &*has;
  helpers.push_back(spawn([&] {
    const auto lock = store.lock("x", {.expire = 3ms});
    lock->acquire();
    *had = true;
    kill(getpid(), SIGSTOP);
    try {
      lock->release();
    } catch (const sherlock::LockLostException&) {
      scenery->told = true;
    }
  }));
  waitpid(helpers.back(), nullptr, WUNTRACED);
  nap(5ms);
}

void dead_holder(const Store& store, std::vector<pid_t>&) {
  const pid_t pid = spawn([&] {
    const auto lock = store.lock("x");
    lock->acquire();
    kill(getpid(), SIGKILL);
  });
  waitpid(pid, nullptr, 0);
}

}  // namespace

const std::vector<Scene>& scenes() {
  static const std::vector<Scene> all{
      {"create", nothing,
       [](const Store& store, const std::function<void()>& arm_now) {
         arm_now();
         const auto lock = store.lock("x");
         hold_and_release(*lock, victim_id);
       }},
      {"free", made_before, uses_it(sherlock::never, true)},
      {"lease", made_before, uses_it(sherlock::Duration{10s}, true)},
      {"contended", held_for_a_while, uses_it(sherlock::never, false), true},
      {"contended lease", held_for_a_while, uses_it(sherlock::Duration{10s}, false), true},
      {"foreign", foreign_for_a_while, uses_it(sherlock::never, false), true, false, true},
      {"take-over", late_holder, uses_it(sherlock::Duration{10s}, true), false, true},
      {"take-over for ever", late_holder, uses_it(sherlock::never, false), false, true},
      {"dead holder", dead_holder, uses_it(sherlock::never, false)},
      {"looks", made_before,
       [](const Store& store, const std::function<void()>& arm_now) {
         const auto lock = store.lock("x");
         arm_now();
         (void)lock->locked();
         (void)lock->holder();
         (void)store.list();
       }},
      {"clean", made_before,
       [](const Store& store, const std::function<void()>& arm_now) {
         (void)store.lock("x")->locked();
         arm_now();
         (void)store.clean();
       }},
  };
  return all;
}

}  // namespace stress
