// SPDX-License-Identifier: MIT
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "conformance/groups.hpp"

namespace sherlock::conformance {
namespace {

struct Thrown {
  int what;
};

}  // namespace

void destruction_releases(Stage& stage) {
  const std::string name = stage.name();
  Other there = stage.other(name);
  for (int round = 0; round < 3; ++round) {
    auto here = stage.lock(name);
    here->acquire();
    here.reset();
    require(there.try_acquire(), "a lock stayed held when the object that held it was destroyed: its destructor must call let_go()");
    require(!there.abandoned(), "a lock whose holder was destroyed was called abandoned");
    there.destroy();
    there = stage.other(there.shared_actor(), name);
    require(stage.lock(name)->try_acquire(), "a lock stayed held when the object that held it was destroyed");
  }
}

void exception_releases(Stage& stage) {
  const std::string name = stage.name();
  const auto here = stage.lock(name);
  Other there = stage.other(name);
  const auto throws = [&](auto scope) {
    int caught = 0;
    try {
      scope();
    } catch (const Thrown& thrown) {
      caught = thrown.what;
    }
    require(caught == 42, "an exception did not come out of the scope of a lock");
    require(!here->held() && there.try_acquire(), "a lock stayed held when an exception left its scope");
    there.release();
  };
  throws([&] {
    const std::lock_guard hold{*here};
    throw Thrown{42};
  });
  throws([&] {
    const std::unique_lock hold{*here, std::chrono::seconds{1}};
    throw Thrown{42};
  });
  throws([&] {
    const auto scoped = stage.lock(name);
    scoped->acquire();
    throw Thrown{42};
  });
}

void lost_is_told_once(Stage& stage) {
  const Duration length = stage.subject().lease;
  struct Told {
    int times = 0;
    bool lost = true, here = true;
  } told;
  const std::thread::id me = std::this_thread::get_id();
  const auto on_lost = [&](const LockException& what) {
    ++told.times;
    told.lost = told.lost && dynamic_cast<const LockLostException*>(&what) != nullptr;
    told.here = told.here && std::this_thread::get_id() == me;
  };
  // Each loses a hold, finds out, and asks once more.
  const auto finds_out = [&](const std::string& how, auto verb) {
    told = {};
    auto lock = stage.lock(stage.name(), {.expire = length, .on_lost = on_lost});
    Lease{*lock, length}.wait_for_end();
    verb(lock);
    require(told.times == 1, "on_lost was told " + std::to_string(told.times) + " times of a hold whose loss was found by " + how);
    require(told.lost, "on_lost was told something that is no LockLostException");
    require(told.here, "on_lost was called in another thread than the one that found out");
    if (lock) lock->unlock();
    lock.reset();
    require(told.times == 1, "on_lost was told once more of a hold that it knew to be lost");
  };
  finds_out("renew", [](auto& lock) {
    static_cast<void>(lock->renew());
    static_cast<void>(lock->renew());
  });
  finds_out("release", [](auto& lock) {
    try {
      lock->release();
    } catch (const LockLostException&) {
    }
  });
  finds_out("unlock", [](auto& lock) { lock->unlock(); });
  finds_out("its destruction", [](auto& lock) { lock.reset(); });

  told = {};
  for (int round = 0; round < 2; ++round) {
    const auto lock = stage.lock(stage.name(), {.on_lost = on_lost});
    lock->acquire();
    require(lock->renew(), "renew is false though the hold has not ended");
    if (round == 0) lock->release();
  }
  require(told.times == 0, "on_lost was told of a hold that ended by a good release");

  const auto lock = stage.lock(stage.name(), {.expire = length, .on_lost = on_lost});
  for (int round = 1; round <= 2; ++round) {
    Lease{*lock, length}.wait_for_end();
    static_cast<void>(lock->renew());
    require(told.times == round, "on_lost was not told once of each of two holds that one object lost");
  }
}

}  // namespace sherlock::conformance
