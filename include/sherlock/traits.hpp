// SPDX-License-Identifier: MIT
// What a backend can promise beyond exclusion. Declared, never guessed: the conformance suite leaves out a clause only
// because a trait says so, and README's table of backends is made of them.
#pragma once

#include <chrono>

#include <sherlock/duration.hpp>

namespace sherlock {

// Between whom a backend's locks exclude.
enum class Scope { process, host, network };

// Every default is the weakest promise.
struct Traits {
  bool sees_death = false;  // a holder that dies is noticed at once, not only when its lease ends
  bool fences = false;      // fences are strictly increasing for a key, whatever happens to its holders
  bool wakes = false;       // a release wakes a waiter; it does not wait for retry_interval
  bool fair = false;        // no waiter starves
  bool never = false;       // expire = never is understood
  Scope scope = Scope::network;
  Duration default_expire = std::chrono::seconds{60};  // where neither the lock nor configure() says
};

}  // namespace sherlock
