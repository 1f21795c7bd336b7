// SPDX-License-Identifier: MIT
#include <sherlock/duration.hpp>

#include <fmt/core.h>

#include <array>
#include <utility>

namespace sherlock {

std::string Duration::text() const {
  if (is_nan()) return "nan";
  if (is_infinite()) return "never";
  if (is_negative()) return "-" + Duration{std::chrono::nanoseconds{-ns_}}.text();
  if (ns_ == 0) return "0s";

  constexpr std::int64_t kSecond = 1'000'000'000;
  if (ns_ < kSecond) {
    constexpr std::array<std::pair<std::int64_t, const char*>, 3> kSmall{{{1'000'000, "ms"}, {1'000, "us"}, {1, "ns"}}};
    for (auto [unit, name] : kSmall)
      if (ns_ >= unit) return fmt::format("{:.4g}{}", static_cast<double>(ns_) / static_cast<double>(unit), name);
  }
  if (ns_ < 60 * kSecond) return fmt::format("{:.4g}s", static_cast<double>(ns_) / static_cast<double>(kSecond));

  // The two largest units are precise enough for people: 3m12s, 2h5m, 12d3h.
  constexpr std::array<std::pair<std::int64_t, const char*>, 4> kLarge{{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}};
  std::int64_t rest = ns_ / kSecond;
  for (std::size_t i = 0; i + 1 < kLarge.size(); ++i) {
    const auto [unit, name] = kLarge[i];
    if (rest < unit) continue;
    const std::int64_t second = rest % unit / kLarge[i + 1].first;
    return second ? fmt::format("{}{}{}{}", rest / unit, name, second, kLarge[i + 1].second) : fmt::format("{}{}", rest / unit, name);
  }
  return fmt::format("{}s", rest);
}

}  // namespace sherlock
