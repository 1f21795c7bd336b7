// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <utility>

#include <sherlock/clock.hpp>

namespace sherlock::conformance {

// For as long as it lives, this process believes that it is a year later. No other thread may use locks meanwhile.
class YearLater final : public Clock {
 public:
  YearLater() : before_{set_clock(this)} {}
  ~YearLater() override { set_clock(before_); }
  YearLater(const YearLater&) = delete;
  YearLater& operator=(const YearLater&) = delete;

  std::chrono::nanoseconds monotonic() const override { return real_clock().monotonic() + kYear; }
  std::chrono::nanoseconds boottime() const override { return real_clock().boottime() + kYear; }
  std::chrono::system_clock::time_point wall() const override { return real_clock().wall() + kYear; }
  void sleep_until(std::chrono::nanoseconds deadline, std::stop_token stop) override {
    real_clock().sleep_until(deadline == deadline.max() ? deadline : deadline - kYear, std::move(stop));
  }

 private:
  static constexpr std::chrono::hours kYear{24 * 365};
  Clock* const before_;
};

}  // namespace sherlock::conformance
