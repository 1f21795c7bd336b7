// SPDX-License-Identifier: MIT
#include <string>

#include "conformance/groups.hpp"
#include "conformance/year_later.hpp"

namespace sherlock::conformance {
namespace {

// An expiry after which a dead holder's lock comes free: none where the store sees it die.
Duration doomed(const Stage& stage) {
  if (!stage.traits().sees_death) return stage.subject().lease;
  return *stage.filled({}).expire;
}

}  // namespace

void killed_holder_frees(Stage& stage) {
  const std::string name = stage.name();
  const auto here = stage.lock(name);
  Other waiter = stage.other(name);
  const auto limit = kPrompt + (stage.traits().sees_death ? std::chrono::nanoseconds{} : stage.subject().lease.ns());
  for (int round = 0; round < 3; ++round) {
    promptly(
        "the lock of a killed holder",
        [&] {
          Other there = stage.other(name, {.expire = doomed(stage)});
          const Timer lease;
          there.acquire();
          if (here->try_acquire()) {
            require(!stage.traits().sees_death && lease.elapsed() >= stage.subject().lease.ns(), "a lock was granted that somebody else holds");
            here->unlock();
          }
          waiter.start("acquire");
          nap(std::chrono::milliseconds{20});
          there.actor().kill();
          try {
            waiter.finish();
          } catch (const LockTimeoutException&) {
            throw Broken{"the lock of a killed holder did not come free"};
          }
          waiter.release();
        },
        limit);
  }

  // Nor do the dead keep a place in the queue.
  Other impatient = stage.other(name);
  here->acquire();
  impatient.start("acquire");
  nap(std::chrono::milliseconds{20});
  waiter.start("acquire");
  nap(std::chrono::milliseconds{20});
  impatient.actor().kill();
  here->release();
  try {
    waiter.finish();
  } catch (const LockTimeoutException&) {
    throw Broken{"a waiter that was killed kept the next one waiting"};
  }
}

void successor_is_told(Stage& stage) {
  const std::string name = stage.name();
  const Duration length = stage.subject().lease;
  const auto here = stage.lock(name), leased = stage.lock(name, {.expire = length});
  Other there = stage.other(name);
  here->acquire();
  require(!here->abandoned(), "a lock that nobody had was called abandoned");
  here->release();
  there.acquire();
  require(!there.abandoned(), "a lock that was released was called abandoned");
  there.release();

  Lease{*leased, length}.wait_for_end();
  there.acquire();
  require(there.abandoned(), "the successor of a holder whose lease ended was not told");
  there.release();
  here->acquire();
  require(!here->abandoned(), "a lock that was released by somebody who had found it abandoned was called abandoned");
  here->release();

  if (!stage.has_processes()) return;
  Other killed = stage.other(name, {.expire = doomed(stage)});
  killed.acquire();
  killed.actor().kill();
  here->acquire();
  require(here->abandoned(), "the successor of a holder that was killed was not told");
  here->release();
  there.acquire();
  require(!there.abandoned(), "a lock that was released by somebody who had found it abandoned was called abandoned");
}

void stopped_holder_keeps(Stage& stage) {
  const std::string name = stage.name();
  Other there = stage.other(name, {.expire = never});
  const auto here = stage.lock(name);
  there.acquire();
  there.actor().stop();
  require(!here->try_acquire(), "the lock of a stopped holder was granted to somebody else");
  require(!here->try_acquire_for(Duration{stage.subject().lease.ns() + std::chrono::milliseconds{500}}),
          "the lock of a stopped holder was granted to somebody else after a while");
  require(here->locked(), "the lock of a stopped holder was called free");
  {
    const YearLater later;
    require(!here->try_acquire(), "the lock of a stopped holder was granted to somebody else a year later");
  }
  there.actor().go_on();
  require(there.held() && there.renew(), "a holder that was stopped has lost its lock");
  there.release();
  require(here->try_acquire(), "a released lock was refused");
}

}  // namespace sherlock::conformance
