// SPDX-License-Identifier: MIT
#include <cstdint>
#include <string>

#include "conformance/groups.hpp"

namespace sherlock::conformance {

void fences_increase(Stage& stage) {
  const std::string name = stage.name();
  std::uint64_t last = 0;
  std::string before = "nothing";
  const auto next = [&](std::uint64_t fence, const std::string& after) {
    require(fence > last, "a hold after " + before + " has the fence " + std::to_string(fence) + ", and the one before had " + std::to_string(last));
    last = fence;
    before = after;
  };

  const auto here = stage.lock(name), twin = stage.lock(name);
  for (int round = 0; round < 3; ++round) {
    here->acquire();
    next(here->fence(), "a release");
    here->release();
  }
  twin->acquire();
  next(twin->fence(), "a release by another object");
  twin->release();

  Other there = stage.other(name);
  there.acquire();
  next(there.fence(), "a release by somebody else");
  there.release();

  with_lease(stage, [&](Duration length) {
    const auto leased = stage.lock(name, {.expire = length});
    const Lease lease{*leased, length};
    try {
      next(leased->fence(), "an expiry");
    } catch (const LockNotHeldException&) {
      lease.still_runs();
      throw;
    }
    lease.wait_for_end();
    there.acquire();
    next(there.fence(), "a release");
    there.release();
  });

  if (stage.has_processes()) {
    for (int round = 0; round < 2; ++round) {
      Other doomed = stage.other(name, {.expire = stage.subject().lease});
      doomed.acquire();
      try {
        next(doomed.fence(), "a death");
      } catch (const LockNotHeldException&) {  // its lease is over already
      }
      doomed.actor().kill();
      here->acquire();
      next(here->fence(), "a release");
      here->release();
    }
  }
  there.acquire();
  next(there.fence(), "a release");
}

void holder_sees_its_fence(Stage& stage) {
  const std::string name = stage.name();
  const auto here = stage.lock(name);
  Other there = stage.other(name);
  const auto shown = [&](std::uint64_t fence, const std::optional<Holder>& holder, const std::string& to) {
    require(!holder || !holder->fence || *holder->fence == fence, "a holder has the fence " + std::to_string(fence) + ", and " + to + " is shown " +
                                                                      std::to_string(holder ? holder->fence.value_or(0) : 0));
  };
  for (int round = 0; round < 3; ++round) {
    here->acquire();
    const std::uint64_t fence = here->fence();
    shown(fence, there.holder(), "somebody else");
    shown(fence, here->holder(), "the holder");
    require_throw<LockNotHeldException>("fence without a hold", "LockNotHeldException", [&] { there.fence(); });
    require(!there.try_acquire(), "a lock was granted that somebody else holds");
    require(here->renew() && here->fence() == fence, "a hold's fence changed while it lasted");
    shown(fence, there.holder(), "somebody else after a renewal");
    here->release();

    there.acquire();
    shown(there.fence(), here->holder(), "somebody else");
    there.release();
  }
}

}  // namespace sherlock::conformance
