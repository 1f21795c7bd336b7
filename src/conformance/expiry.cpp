// SPDX-License-Identifier: MIT
#include <string>

#include "conformance/groups.hpp"
#include "conformance/year_later.hpp"

namespace sherlock::conformance {

using namespace std::chrono_literals;

void lease_ends(Stage& stage) {
  with_lease(stage, [&](Duration length) {
    const std::string name = stage.name();
    const auto here = stage.lock(name, {.expire = length});
    Other there = stage.other(name);
    const Lease lease{*here, length};
    const bool early = there.try_acquire(), held = here->held(), locked = here->locked();
    lease.still_runs();
    require(!early, "a lock was granted whose lease had not ended");
    require(held && locked, "a hold was said to be over whose lease had not ended");

    try {
      there.acquire();
    } catch (const LockTimeoutException&) {
      throw Broken{"a lease of " + length.text() + " did not end"};
    }
    const auto after = lease.elapsed();
    // Some clocks of stores tick in milliseconds.
    require(after >= length.ns() - 2ms, "a lease of " + length.text() + " ended after " + Duration{after}.text());
    require(!here->held(), "held() is true of a lease that has ended");
    if (after > length.ns() + 5 * kPrompt) throw Broken{"a lease of " + length.text() + " lasted for " + Duration{after}.text()};
    if (after > length.ns() + kPrompt) throw TooSlow{};
  });
}

void never_means_never(Stage& stage) {
  const std::string name = stage.name();
  Other there = stage.other(name, {.expire = never});
  const auto here = stage.lock(name), mine = stage.lock(stage.name(), {.expire = never});
  there.acquire();
  mine->acquire();
  nap(3 * stage.subject().lease.ns());
  require(!here->try_acquire(), "a lock without expiry was granted to somebody else");
  {
    const YearLater later;
    require(!here->try_acquire() && here->locked(), "a lock without expiry was free a year later");
    require(mine->held() && mine->renew(), "a hold without expiry was over a year later");
    mine->release();
  }
  require(there.held() && there.renew(), "a hold without expiry ended");
  there.release();
}

void renew_prolongs(Stage& stage) {
  with_lease(stage, [&](Duration length) {
    const std::string name = stage.name();
    const auto here = stage.lock(name, {.expire = length});
    Other there = stage.other(name);
    Lease lease{*here, length};
    for (int round = 0; round < 3; ++round) {
      nap(length.ns() / 2);
      lease.still_runs();
      const bool renewed = lease.renew(*here);
      if (!renewed) {
        lease.still_runs();
        throw Broken{"renew is false though the lease has not ended"};
      }
    }
    const bool granted = there.try_acquire(), held = here->held();
    lease.still_runs();
    require(!granted && held, "a lease ended though it was renewed");

    lease.wait_for_end();
    require(!here->held(), "held() is true of a lease that has ended");
    require(!here->renew(), "renew is true though the lease has ended");
    require(!here->renew(), "renew is true though the lease has ended and this was said before");
    require(there.try_acquire(), "a lock was refused whose lease had ended after a renewal");
  });
}

void renew_after_takeover(Stage& stage) {
  for (const bool same_process : {true, false}) {
    const std::string name = stage.name();
    const auto late = stage.lock(name, {.expire = stage.subject().lease}), twin = stage.lock(name);
    Other there = stage.other(name);
    late->acquire();
    // As early as the store lets anybody have it.
    const Timer timer;
    for (;;) {
      const bool late = timer.elapsed() >= stage.subject().lease.ns() + kFarOff;
      if (same_process ? twin->try_acquire() : there.try_acquire()) break;
      require(!late, "a lease did not end");
      nap(1ms);
    }
    require(!late->renew(), "renew is true though somebody else has the lock");
    require(!late->held(), "held() is true though somebody else has the lock");
    require(same_process ? twin->renew() : there.renew(), "a renew that came too late ended the hold of the successor");
    require(!stage.lock(name)->try_acquire(), "a renew that came too late freed the successor's lock");
    same_process ? twin->release() : there.release();
  }
}

void expired_release_is_reported(Stage& stage) {
  const Duration length = stage.subject().lease;
  const std::string name = stage.name();
  Other there = stage.other(name);
  const auto late = stage.lock(name, {.expire = length});
  const auto reported = [&](const std::string& when) {
    require_throw<LockLostException>("release of a lease that has ended, " + when + ",", "LockLostException", [&] { late->release(); });
    require_throw<LockNotHeldException>("a second release, " + when + ",", "LockNotHeldException", [&] { late->release(); });
  };
  Lease{*late, length}.wait_for_end();
  reported("with nobody after it");
  require(there.try_acquire(), "a lock was refused whose lease had ended");
  there.release();

  const Lease lease{*late, length};
  there.acquire();
  lease.wait_for_end();
  reported("with somebody after it");
  require(there.held() && there.renew() && !late->try_acquire(), "a release that came too late ended the hold of the successor");
  there.release();
}

void acquires_after_expiry(Stage& stage) {
  with_lease(stage, [&](Duration length) {
    const std::string name = stage.name();
    const auto again = stage.lock(name, {.expire = length});
    Other there = stage.other(name);
    Lease{*again, length}.wait_for_end();
    const Lease second{*again, length};
    const bool granted = there.try_acquire(), held = again->held();
    second.still_runs();
    require(!granted && held, "the hold of an object that acquired again after expiry ended too early");

    there.acquire();  // when the second lease is over
    second.wait_for_end();
    require(!again->try_acquire(), "a lock was granted that somebody else holds");
    there.release();
    require(again->try_acquire(), "an object whose lease had ended was refused the free lock");
    again->unlock();
  });
}

void death_ends_lease(Stage& stage) {
  // Where the store sees a death, the lease is too long to wait for.
  const Duration length = stage.traits().sees_death ? Duration{60s} : stage.subject().lease;
  const std::string name = stage.name();
  const auto here = stage.lock(name);
  for (int round = 0; round < 3; ++round) {
    Other there = stage.other(name, {.expire = length});
    there.acquire();
    there.actor().kill();
    try {
      here->acquire();
    } catch (const LockTimeoutException&) {
      throw Broken{"the lock of a dead holder with an expiry of " + length.text() + " did not come free"};
    }
    here->release();
  }
}

}  // namespace sherlock::conformance
