// SPDX-License-Identifier: MIT
#include <sherlock/clock.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "core/boottime.hpp"
#include "posix/clock.hpp"

namespace sherlock {
namespace {

class RealClock final : public Clock {
 public:
  std::chrono::nanoseconds monotonic() const override { return posix::read_clock(CLOCK_MONOTONIC); }
  std::chrono::nanoseconds boottime() const override { return posix::read_clock(CLOCK_BOOTTIME); }
  std::chrono::system_clock::time_point wall() const override { return std::chrono::system_clock::now(); }

  void sleep_until(std::chrono::nanoseconds deadline, std::stop_token stop) override {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock{mutex};
    const auto never_true = [] { return false; };
    // steady_clock is CLOCK_MONOTONIC; an instant too far away to be added to is waited for without end.
    if (deadline == std::chrono::nanoseconds::max())
      wake.wait(lock, stop, never_true);
    else
      wake.wait_until(lock, stop, std::chrono::steady_clock::time_point{deadline}, never_true);
  }
};

}  // namespace

namespace detail {
std::atomic<Clock*> replaced_clock{nullptr};
}
using detail::replaced_clock;

Clock::~Clock() = default;

Clock& real_clock() {
  static auto* const clock = new RealClock;  // never destroyed: locks of static duration still ask it
  return *clock;
}

namespace {
// Made while the program is loaded: a fork in the middle of the first use would leave the child waiting for its end.
[[maybe_unused]] const Clock& made_at_start = real_clock();
}  // namespace

Clock& clock() noexcept {
  Clock* in_use = replaced_clock.load(std::memory_order_acquire);
  return in_use ? *in_use : real_clock();
}

Clock* set_clock(Clock* replacement) noexcept {
  Clock* before = replaced_clock.exchange(replacement == &real_clock() ? nullptr : replacement);
  return before ? before : &real_clock();
}

}  // namespace sherlock
