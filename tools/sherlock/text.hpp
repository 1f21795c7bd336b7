// SPDX-License-Identifier: MIT
// Text for people: safe to send to a terminal whatever bytes it was made of.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sherlock::cli {

using WallTime = std::chrono::system_clock::time_point;

// Control characters, what turns the direction of writing around, and bytes that are no UTF-8 become \n, \t, \x1b, \u202e.
std::string escape(std::string_view text);

// At most `bytes` of it, without cutting a UTF-8 sequence in two.
std::string_view cut(std::string_view text, std::size_t bytes);

// How many columns of a terminal an escaped text fills. What may be wide is taken as wide, so the answer is never too small.
std::size_t columns(std::string_view text);

// The beginning that fills at most this many columns.
std::string_view fit(std::string_view text, std::size_t columns);

// "3m12s"; whole seconds. Nothing less than 0: clocks are set back.
std::string ago(std::chrono::nanoseconds length);

// "2026-11-23 10:02:00 +0100"
std::string local_time(WallTime time);
// "2026-11-23T09:02:00.123Z", RFC 3339
std::string utc_time(WallTime time);

// Rows below a headline, in aligned columns. Cells are escaped here.
class Table {
 public:
  explicit Table(std::vector<std::string> headline) { rows_.push_back(std::move(headline)); }
  void add(std::vector<std::string> row);
  // `headline_style` stands before the headline, and a reset after it, unless it is empty.
  std::string text(std::string_view headline_style) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace sherlock::cli
