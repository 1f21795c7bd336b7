// SPDX-License-Identifier: MIT
#include "text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <ctime>

#include <sherlock/duration.hpp>

namespace sherlock::cli {
namespace {

struct Symbol {
  std::uint32_t point;
  std::size_t bytes;  // 0: no UTF-8
};

// Overlong forms, surrogates and what lies past U+10FFFF are no UTF-8.
Symbol first_symbol(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 && lead <= 0xf4 ? 4 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xc2 && lead < 0xe0 ? 2 : 0;
  if (length == 0 || text.size() < length) return {lead, 0};
  std::uint32_t point = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {lead, 0};
    point = point << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  const bool outside = point > 0x10ffff || (point >= 0xd800 && point < 0xe000);
  return overlong || outside ? Symbol{lead, 0} : Symbol{point, length};
}

bool commands_a_terminal(std::uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x200e && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
         (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

std::size_t width(std::uint32_t point) { return point < 0x1100 ? 1 : 2; }

std::tm broken_down(WallTime time, std::tm* (*convert)(const std::time_t*, std::tm*)) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm fields{};
  convert(&seconds, &fields);
  return fields;
}

std::string formatted(const char* format, const std::tm& fields) {
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &fields)};
}

}  // namespace

std::string escape(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const auto [point, bytes] = first_symbol(text);
    if (point == '\n' || point == '\t')
      shown += point == '\n' ? "\\n" : "\\t";
    else if (bytes == 0 || (bytes == 1 && commands_a_terminal(point)))
      shown += fmt::format("\\x{:02x}", point);
    else if (commands_a_terminal(point))
      shown += fmt::format("\\u{:04x}", point);
    else
      shown += text.substr(0, bytes);
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return shown;
}

std::string_view cut(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  std::size_t end = bytes;
  while (end > 0 && bytes - end < 3 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

std::string_view fit(std::string_view text, std::size_t columns) {
  std::size_t end = 0;
  while (end < text.size()) {
    const auto [point, bytes] = first_symbol(text.substr(end));
    if (width(point) > columns) break;
    columns -= width(point);
    end += std::max<std::size_t>(bytes, 1);
  }
  return text.substr(0, end);
}

std::size_t columns(std::string_view text) {
  std::size_t sum = 0;
  while (!text.empty()) {
    const auto [point, bytes] = first_symbol(text);
    sum += width(point);
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return sum;
}

std::string ago(std::chrono::nanoseconds length) {
  return Duration{std::max(std::chrono::floor<std::chrono::seconds>(length), std::chrono::seconds{0})}.text();
}

std::string local_time(WallTime time) { return formatted("%Y-%m-%d %H:%M:%S %z", broken_down(time, localtime_r)); }

std::string utc_time(WallTime time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
  return formatted("%Y-%m-%dT%H:%M:%S", broken_down(time, gmtime_r)) + fmt::format(".{:03}Z", (milliseconds % 1000 + 1000) % 1000);
}

void Table::add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = escape(cell);
  rows_.push_back(std::move(row));
}

std::string Table::text(std::string_view headline_style) const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));

  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] + 2 - columns(row[i]), ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    const bool styled = &row == &rows_.front() && !headline_style.empty();
    text += styled ? fmt::format("{}{}\x1b[0m\n", headline_style, line) : line + "\n";
  }
  return text;
}

}  // namespace sherlock::cli
