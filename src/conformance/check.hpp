// SPDX-License-Identifier: MIT
// How a clause says that it is broken, and how it asks about time without being fooled by a busy machine.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include <sherlock/duration.hpp>
#include <sherlock/error.hpp>

namespace sherlock::conformance {

class Broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The machine did not get to the question before its answer was over. It is asked again, with more time.
struct TooSlow {};

inline void require(bool kept, const std::string& otherwise) {
  if (!kept) throw Broken{otherwise};
}

inline constexpr const char* kNotHeld = "LockNotHeldException";

template <class Expected, class Body>
void require_throw(const std::string& what, const char* expected, Body&& body) {
  try {
    body();
  } catch (const Expected&) {
    return;
  } catch (const std::exception& e) {
    throw Broken{what + " throws something that is no " + expected + ": " + e.what()};
  }
  throw Broken{what + " does not throw " + expected};
}

class Timer {
 public:
  std::chrono::nanoseconds elapsed() const { return std::chrono::steady_clock::now() - start_; }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Longer than the second that one try may wait for the store; far shorter than what a clause lets a waiter sleep.
inline constexpr std::chrono::milliseconds kPrompt{1500};
// The timeout of whoever has to be woken or served promptly, and would not look by itself.
inline constexpr std::chrono::milliseconds kFarOff{9000};

// `body` takes no longer than `limit`. What is a little late is asked again: the machine may have been busy. Much too late is too late.
template <class Body>
void promptly(const std::string& what, Body body, std::chrono::nanoseconds limit = kPrompt) {
  for (int round = 1;; ++round) {
    const Timer timer;
    body();
    const auto took = timer.elapsed();
    if (took <= limit) return;
    if (took > 5 * limit || round == 3) throw Broken{what + " took " + Duration{took}.text() + ", and the limit is " + Duration{limit}.text()};
  }
}

inline void nap(std::chrono::nanoseconds time) { std::this_thread::sleep_for(time); }

}  // namespace sherlock::conformance
