// SPDX-License-Identifier: MIT
// What a clause works with: locks here, locks of others, names that nobody else uses, and leases that it can be sure about.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <sherlock/base_lock.hpp>
#include <sherlock/conformance.hpp>
#include <sherlock/traits.hpp>

#include "conformance/actor.hpp"
#include "conformance/check.hpp"

namespace sherlock::conformance {

class Stage {
 public:
  Stage(const Subject& subject, const Traits& traits);

  const Subject& subject() const { return subject_; }
  const Traits& traits() const { return traits_; }
  bool has_processes() const { return traits_.scope != Scope::process; }

  // New each time.
  std::string name();
  // No other run uses it. Every lock is in it, unless its options say otherwise.
  const std::string& ns() const { return ns_; }

  // `given`, and for what is not given: this ns, an expiry that no clause waits for, a timeout that a broken backend reaches, and a waiter that looks
  // often.
  Options filled(Options given) const;

  // In this process.
  std::unique_ptr<BaseLock> lock(const std::string& name, const Options& options = {}) const;
  // Of somebody new.
  Other other(const std::string& name, const Options& options = {}) const;
  // Of somebody who is there already.
  Other other(const std::shared_ptr<Actor>& actor, const std::string& name, const Options& options = {}) const;
  std::shared_ptr<Actor> somebody() const;

 private:
  const Subject& subject_;
  const Traits traits_;
  const std::string ns_;
  int names_ = 0;
};

// A hold that will expire, and what is certain about it: it lasts at least from before it was asked for, and at most from when it was granted.
class Lease {
 public:
  template <class L>
  Lease(L& lock, Duration length) : length_{length.ns()} {
    lock.acquire();
    granted_ = Timer{};
  }
  std::chrono::nanoseconds elapsed() const { return asked_.elapsed(); }
  // To be called after a question: whether the hold lasted when it was asked.
  void still_runs() const {
    if (asked_.elapsed() >= length_) throw TooSlow{};
  }
  // Asks for more time, and is a lease from then on. What renew() said.
  template <class L>
  bool renew(L& lock) {
    const Timer asked;
    const bool renewed = lock.renew();
    if (renewed || asked_.elapsed() < length_) {  // a false that came too early is for the clause to judge
      asked_ = asked;
      granted_ = Timer{};
    }
    return renewed;
  }
  void wait_for_end() const {
    // A store may count in milliseconds, and round up.
    while (granted_.elapsed() <= length_ + std::chrono::milliseconds{3}) nap(length_ + std::chrono::milliseconds{4} - granted_.elapsed());
  }

 private:
  std::chrono::nanoseconds length_;
  Timer asked_, granted_;
};

// body(length): what it asks has to be done within the lease. Where the machine was too slow for that, it is repeated with longer ones.
template <class Body>
void with_lease(const Stage& stage, Body body) {
  Duration length = stage.subject().lease;
  for (int round = 1;; ++round) {
    try {
      return body(length);
    } catch (const TooSlow&) {
      if (round == 5) throw Broken{"this machine is too slow to tell, even with a lease of " + length.text()};
    }
    length = Duration{2 * length.ns()};
  }
}

}  // namespace sherlock::conformance
