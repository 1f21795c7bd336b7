// SPDX-License-Identifier: MIT
#include <exception>
#include <optional>
#include <string>
#include <thread>

#include "conformance/groups.hpp"

namespace sherlock::conformance {
namespace {

// Somebody has the lock, and nobody else can have it.
void is_held(Stage& stage, const std::string& name, const std::string& otherwise) {
  const auto look = stage.lock(name);
  require(look->locked() && !look->try_acquire(), otherwise);
}

template <class Body>
void in_a_thread(Body body) {
  std::exception_ptr thrown;
  std::thread{[&] {
    try {
      body();
    } catch (...) {
      thrown = std::current_exception();
    }
  }}.join();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

void only_owner_releases(Stage& stage) {
  const std::string name = stage.name();
  const auto owner = stage.lock(name);
  owner->acquire();
  {
    const auto twin = stage.lock(name);
    Other there = stage.other(name);
    require_throw<LockNotHeldException>("release by an object that does not hold the lock", kNotHeld, [&] { twin->release(); });
    require_throw<LockNotHeldException>("release by somebody who does not hold the lock", kNotHeld, [&] { there.release(); });
    twin->unlock();
    there.unlock();
    is_held(stage, name, "a lock came free when others than its owner released it");
    require(!there.try_acquire_for(std::chrono::milliseconds{20}), "a lock was granted that is held");
    there.destroy();
  }
  is_held(stage, name, "a lock came free when objects that did not hold it were destroyed");
  require(owner->renew(), "a hold ended by what others did");
  owner->release();
}

void second_release(Stage& stage) {
  const std::string name = stage.name();
  const auto first = stage.lock(name);
  Other second = stage.other(name);
  first->acquire();
  first->release();
  require_throw<LockNotHeldException>("a second release", kNotHeld, [&] { first->release(); });
  first->unlock();

  second.acquire();
  require_throw<LockNotHeldException>("a second release", kNotHeld, [&] { first->release(); });
  first->unlock();
  require(first->locked(), "a second release freed the next holder's lock");
  require(second.renew(), "a second release ended the next holder's hold");
  is_held(stage, name, "a second release freed the next holder's lock");
  second.release();
}

void release_by_another_thread(Stage& stage) {
  const std::string name = stage.name();
  const auto lock = stage.lock(name);
  in_a_thread([&] { lock->acquire(); });
  is_held(stage, name, "a hold ended with the thread that acquired it");
  require(lock->held() && lock->renew(), "a hold ended with the thread that acquired it");
  lock->release();
  require(stage.other(name).try_acquire(), "a lock stayed held when another thread released it");

  const auto another = stage.lock(stage.name());
  another->acquire();
  in_a_thread([&] { another->release(); });
  require(!another->held() && !another->locked(), "a lock stayed held when another thread released it");
}

void late_release_spares_successor(Stage& stage) {
  // What the late release says about it is another clause's question.
  const auto release = [](auto& lock) {
    try {
      lock.release();
    } catch (const LockException&) {
    }
  };
  for (const bool same_process : {true, false}) {
    const std::string name = stage.name();
    const Duration length = stage.subject().lease;
    const std::string otherwise = std::string{"a late release freed the lock of its successor"} + (same_process ? " in the same process" : "");
    const auto successor = same_process ? stage.lock(name) : nullptr;
    std::optional<Other> outside;
    if (!same_process) outside.emplace(stage.other(name));
    for (int way = 0; way < 3; ++way) {
      auto late = stage.lock(name, {.expire = length});
      const Lease lease{*late, length};
      lease.wait_for_end();
      same_process ? successor->acquire() : outside->acquire();
      if (way == 0) release(*late);
      if (way == 1) late->unlock();
      if (way == 2) late.reset();
      is_held(stage, name, otherwise);
      require(same_process ? successor->renew() : outside->renew(), otherwise);
      same_process ? successor->release() : outside->release();
    }
  }
}

void renew_before_acquire(Stage& stage) {
  const std::string name = stage.name();
  const auto fresh = stage.lock(name);
  const auto refused = [&] {
    require(!fresh->held(), "held() is true of an object that does not hold the lock");
    require_throw<LockNotHeldException>("renew without a hold", kNotHeld, [&] { static_cast<void>(fresh->renew()); });
    require_throw<LockNotHeldException>("fence without a hold", kNotHeld, [&] { static_cast<void>(fresh->fence()); });
    require_throw<LockNotHeldException>("abandoned without a hold", kNotHeld, [&] { static_cast<void>(fresh->abandoned()); });
  };
  refused();
  require(!fresh->locked(), "a lock was held by nobody");
  Other there = stage.other(name);
  there.acquire();
  refused();
  there.release();
  fresh->acquire();
  fresh->release();
  refused();
}

void used_again(Stage& stage) {
  const std::string name = stage.name();
  const auto again = stage.lock(name);
  Other there = stage.other(name);
  for (int round = 0; round < 5; ++round) {
    again->acquire();
    require(again->held() && !there.try_acquire(), "an object that acquired anew does not keep others out");
    again->release();
    require(there.try_acquire(), "a released lock was refused");
    require(!again->try_acquire(), "a lock was granted that somebody else holds");
    there.release();
    require(again->try_acquire(), "an object was refused the free lock that it had before");
    again->unlock();
  }
}

}  // namespace sherlock::conformance
