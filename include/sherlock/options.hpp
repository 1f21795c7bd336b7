// SPDX-License-Identifier: MIT
// What a lock may be told when it is made. Everything is optional; what is not given comes from configure(), then from
// the backend's traits, then from the library (timeout 10 s, retry_interval 100 ms, no ns, the program's name as label).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <sherlock/duration.hpp>

namespace sherlock {

class LockException;

// Told when a hold ended other than by a good release: at most once per hold, in the thread that found out. The exception
// says what happened: a LockLostException, or the BackendException that a release on the way out met. What the
// callback throws is dropped. It may call the lock's verbs.
using OnLost = std::function<void(const LockException&)>;

// Checked when the lock is made: NaN, negative values, a retry_interval or an expire of 0, and a label of more than 256 bytes
// are a ConfigurationException that names the option and the value. Infinite and huge durations are the same as no end.
struct Options {
  std::optional<std::string> ns{};          // at most 1024 bytes; empty switches a configured one off
  std::optional<Duration> expire{};         // how long a hold lasts without renew(); never: until release or death
  std::optional<Duration> timeout{};        // how long acquire() waits; 0 is one try, forever is allowed
  std::optional<Duration> retry_interval{}; // the longest a waiter goes without asking the store itself
  std::optional<std::string> label{};       // what the holder shows to others: "nightly backup of /home"
  OnLost on_lost{};
};

}  // namespace sherlock
