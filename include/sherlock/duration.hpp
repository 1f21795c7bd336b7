// SPDX-License-Identifier: MIT
// How long: an expiry, a timeout, an interval. Takes every std::chrono duration, floating ones included, and never wraps:
// what does not fit is `never`. NaN and negative values are kept as they are, so that whoever gets one can refuse it by name.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <string>
#include <type_traits>

#include <sherlock/export.hpp>

namespace sherlock {

// A length of time in nanoseconds, or without end, or no number at all.
class Duration {
 public:
  constexpr Duration() = default;

  template <class Rep, class Period>
  constexpr Duration(std::chrono::duration<Rep, Period> given) : ns_{convert(given)} {}

  static constexpr Duration infinite() { return Duration{kInfinite}; }

  constexpr bool is_infinite() const { return ns_ == kInfinite; }
  constexpr bool is_nan() const { return ns_ == kNan; }
  constexpr bool is_negative() const { return ns_ < 0 && ns_ != kNan; }

  // Nanoseconds; an infinite one is nanoseconds::max(), NaN is nanoseconds::min().
  constexpr std::chrono::nanoseconds ns() const { return std::chrono::nanoseconds{ns_}; }

  // This long after `start`; infinite where the sum does not fit.
  constexpr std::chrono::nanoseconds after(std::chrono::nanoseconds start) const {
    if (is_infinite() || (start.count() > 0 && ns_ > kInfinite - start.count())) return std::chrono::nanoseconds{kInfinite};
    return start + ns();
  }

  // From one instant to a later one; nothing where it is not later.
  static constexpr Duration between(Duration start, Duration end) {
    if (start.ns_ >= end.ns_) return {};
    if (end.is_infinite() || (start.ns_ < 0 && end.ns_ > kInfinite + start.ns_)) return infinite();
    return Duration{end.ns_ - start.ns_};
  }

  // For people: "10s", "250ms", "1h5m", "never".
  SHERLOCK_API std::string text() const;

  friend constexpr bool operator==(Duration, Duration) = default;

 private:
  static constexpr std::int64_t kInfinite = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t kNan = std::numeric_limits<std::int64_t>::min();

  constexpr explicit Duration(std::int64_t ns) : ns_{ns} {}

  template <class Rep, class Period>
  static constexpr std::int64_t convert(std::chrono::duration<Rep, Period> given) {
    // Through long double first: duration_cast multiplies before it can be asked whether the product fits.
    const long double approximate = static_cast<long double>(given.count()) * Period::num / Period::den * 1e9L;
    if (approximate != approximate) return kNan;
    if (approximate >= 9.2233720368547e18L) return kInfinite;
    if (approximate <= -9.2233720368547e18L) return kNan + 1;
    if constexpr (std::is_floating_point_v<Rep>)
      return static_cast<std::int64_t>(approximate);
    else
      return std::chrono::duration_cast<std::chrono::nanoseconds>(given).count();
  }

  std::int64_t ns_ = 0;
};

// As `expire`: the hold ends by release or by the holder's death, not by time.
inline constexpr Duration never = Duration::infinite();

// As `timeout`: wait as long as it takes.
inline constexpr Duration forever = Duration::infinite();

}  // namespace sherlock
