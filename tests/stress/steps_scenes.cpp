// SPDX-License-Identifier: MIT
#include "steps_scenes.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include "steps_use.hpp"
#include "steps_windows.hpp"

namespace stress {

using namespace std::chrono_literals;
using sherlock::FileLock;

void made_before(Ground& g) {
  reap(spawn([&] {
    FileLock lock = g.lock();
    lock.acquire();
    lock.release();
  }));
}

void makes_the_store(Ground& g) {
  g.arm();
  FileLock lock = g.lock("x", {.timeout = 8s});
  lock.acquire();
  hold(g, lock, victim_id);
}

void cleans(Ground& g) {
  (void)g.lock().locked();
  g.arm();
  (void)FileLock::clean(g.directory);
}

namespace {

// ---------------------------------------------------------------------------------------------------------------- before

void held_for_a_while(Ground& g) {
  g.help([&] {
    FileLock lock = g.lock();
    lock.acquire();
    hold(g, lock, helper_id, [&] {
      g.stage.cue[0] = true;
      nap(12ms);
    });
  });
  g.wait_for(g.stage.cue[0]);
}

void held_with_a_queue(Ground& g) {
  held_for_a_while(g);
  for (const int who : {helper_id + 10, helper_id + 11})
    g.help([&, who] {
      FileLock lock = g.lock("x", {.timeout = 5s});
      lock.acquire();
      hold(g, lock, who);
    });
  nap(3ms);
}

void foreign_for_a_while(Ground& g) {
  made_before(g);
  g.help([&] {
    const int fd = open(g.path().c_str(), O_RDWR | O_CLOEXEC);
    flock(fd, LOCK_EX);
    g.stage.cue[0] = true;
    nap(12ms);
    close(fd);
  });
  g.wait_for(g.stage.cue[0]);
}

// Stopped past the end of its lease; goes on when all is over.
void late_holder(Ground& g) {
  g.stage.late = true;
  g.help([&] {
    FileLock lock = g.lock("x", {.expire = 3ms});
    lock.acquire();
    kill(getpid(), SIGSTOP);
    try {
      lock.release();
      g.complain(Wrong::untold, "the late holder");
    } catch (const sherlock::LockLostException&) {
    }
  });
  waitpid(g.helpers.back(), nullptr, WUNTRACED);
  nap(5ms);
}

void dead_holder(Ground& g) {
  const pid_t pid = spawn([&] {
    FileLock lock = g.lock();
    lock.acquire();
    kill(getpid(), SIGKILL);
  });
  waitpid(pid, nullptr, 0);
}

// ---------------------------------------------------------------------------------------------------------------- victims

auto uses_it(sherlock::Duration expire, bool renew) {
  return [=](Ground& g) {
    FileLock lock = g.lock("x", {.expire = expire, .timeout = 8s});
    g.arm();
    for (const bool first : {true, false}) {
      lock.acquire();
      hold(g, lock, victim_id, [&] {
        if (first && renew && !lock.renew()) g.complain(Wrong::lost, "renew");
      });
    }
  };
}

void looks(Ground& g) {
  FileLock lock = g.lock();
  g.arm();
  for (int i = 0; i < 2; ++i)
    if (lock.locked() && g.how == How::none) g.complain(Wrong::looks, "a free lock looks locked to one who looks again");
  (void)lock.holder();
  (void)FileLock::list(g.directory);
}

void gives_up(Ground& g) {
  FileLock lock = g.lock();
  g.arm();
  if (lock.try_acquire_for(4ms)) hold(g, lock, victim_id);
}

// A lease of 60 ms, which it may well outlive. Others are kept out only until it is over.
void uses_a_short_lease(Ground& g) {
  FileLock lock = g.lock("x", {.expire = 60ms, .timeout = 8s});
  g.arm();
  lock.acquire();
  const bool renewed = lock.renew();
  try {
    lock.release();
    if (!renewed) g.complain(Wrong::untold, "released what was lost");
  } catch (const sherlock::LockLostException&) {
  }
}

// Its lease of 20 ms is over, and another has the lock, or has had it, when it releases.
void releases_late(Ground& g) {
  FileLock lock = g.lock("x", {.expire = 20ms});
  lock.acquire();
  g.stage.cue[0] = true;
  g.wait_for(g.stage.cue[1]);
  g.arm();
  try {
    lock.release();
    g.complain(Wrong::untold, "released late");
  } catch (const sherlock::LockLostException&) {
  }
}

void successor_of_the_late(Ground& g) {
  made_before(g);
  g.help([&] {
    FileLock lock = g.lock("x", {.timeout = 5s});
    g.wait_for(g.stage.cue[0]);
    lock.acquire();
    hold(g, lock, helper_id, [&] {
      g.stage.cue[1] = true;
      nap(5ms);
    });
    g.stage.cue[2] = true;
  });
}

}  // namespace

const std::vector<Scene>& scenes() {
  static const std::vector<Scene> all = [] {
    std::vector<Scene> scenes{
        {.name = "create", .before = nullptr, .victim = makes_the_store, .meanwhile = others_make_names},
        {.name = "new name", .before = other_names_made, .victim = makes_the_store, .meanwhile = holds_on},
        {.name = "outlived", .before = other_names_made, .victim = makes_the_store, .meanwhile = live_and_be_forgotten, .only = {How::hold}},
        {.name = "free", .before = made_before, .victim = uses_it(sherlock::never, true)},
        {.name = "lease", .before = made_before, .victim = uses_it(sherlock::Duration{10s}, true)},
        {.name = "short lease", .before = made_before, .victim = uses_a_short_lease, .meanwhile = outlast, .others = outlast},
        {.name = "contended", .before = held_for_a_while, .victim = uses_it(sherlock::never, false)},
        {.name = "contended lease", .before = held_for_a_while, .victim = uses_it(sherlock::Duration{10s}, false)},
        {.name = "queue", .before = held_with_a_queue, .victim = uses_it(sherlock::never, false)},
        {.name = "gives up", .before = held_with_a_queue, .victim = gives_up},
        {.name = "foreign", .before = foreign_for_a_while, .victim = uses_it(sherlock::never, false)},
        {.name = "foreign, stopped",
         .before = foreign_for_a_while,
         .victim = uses_it(sherlock::never, false),
         .others = survive,
         .from = "grant: waits for a foreigner",
         .up_to = "grant: waits for a foreigner",
         .only = {How::stop}},
        {.name = "foreign, gives up", .before = foreign_for_a_while, .victim = gives_up},
        {.name = "take-over", .before = late_holder, .victim = uses_it(sherlock::Duration{10s}, true)},
        {.name = "take-over for ever", .before = late_holder, .victim = uses_it(sherlock::never, false)},
        {.name = "late", .before = successor_of_the_late, .victim = releases_late, .meanwhile = another_is_late},
        {.name = "dead holder", .before = dead_holder, .victim = uses_it(sherlock::never, false)},
        {.name = "looks", .before = made_before, .victim = looks, .meanwhile = tries_once, .others = look_too},
        {.name = "looks, then a try", .before = made_before, .victim = looks, .meanwhile = tries_once, .others = try_too},
        {.name = "clean", .before = made_before, .victim = cleans, .meanwhile = holds_on},
    };
    for (const auto& more : {windows(), replacements(), of_threads()}) scenes.insert(scenes.end(), more.begin(), more.end());
    return scenes;
  }();
  return all;
}

}  // namespace stress
