// SPDX-License-Identifier: MIT
// A clock whose sleepers wait for the test, a store in memory, and what on_lost was told.
#pragma once

#include <sherlock/keeper.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>

#include "support/becomes.hpp"
#include "support/fake_clock.hpp"
#include "support/subprocess.hpp"
#include "test_lock.hpp"

namespace keeper_ground {

using namespace std::chrono_literals;
using namespace sherlock;
using support::becomes;
using Threads = TestLock::Threads;

inline void unreachable(const Claim&) { throw BackendException{Errc::unavailable, "the server is gone"}; }

struct Ground {
  support::FakeClock clock{support::FakeClock::Sleepers::wait};
  TestStore store;
  std::error_code code;  // what on_lost was told; read after `told`
  std::string text;
  std::atomic<int> told{0};

  Options options(Duration expire, Duration timeout = 10s) {
    return {.expire = expire, .timeout = timeout, .on_lost = [this](const LockException& what) {
              code = what.code();
              text = what.what();
              ++told;
            }};
  }
  // So much later, when the keeper has done what there was to do.
  bool pass(std::chrono::nanoseconds by) {
    clock.advance(by);
    return clock.asleep();
  }
};

}  // namespace keeper_ground
