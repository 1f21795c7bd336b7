// SPDX-License-Identifier: MIT
#include "core/report.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <ctime>

#include <sherlock/duration.hpp>

namespace sherlock::detail {

namespace {

// The length of the character of UTF-8 that `text` begins with; 0 where there is none, or one that a terminal takes for a command.
std::size_t harmless_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  if (lead >= 0xc2 && lead < 0xe0) return follows(1) && !(lead == 0xc2 && byte(1) < 0xa0) ? 2 : 0;  // U+0080 to U+009F are commands
  if (lead >= 0xe0 && lead < 0xf0) {
    const bool overlong = lead == 0xe0 && byte(1) < 0xa0, surrogate = lead == 0xed && byte(1) >= 0xa0;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xf0 && lead < 0xf5) {
    const bool overlong = lead == 0xf0 && byte(1) < 0x90, beyond = lead == 0xf4 && byte(1) >= 0x90;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

// What fmt makes at the first use of a time is made while the program is loaded: a fork in the middle of it would leave the child waiting for its end.
[[maybe_unused]] const bool times_made_at_start = !fmt::format("{:%Y}", std::tm{}).empty();

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::size_t length = harmless_character(text);
    if (length != 0)
      shown += text.substr(0, length);
    else if (text.front() == '\n' || text.front() == '\t')
      shown += text.front() == '\n' ? "\\n" : "\\t";
    else
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
    text.remove_prefix(length != 0 ? length : 1);
  }
  return shown;
}

std::string describe(const Holder& holder, std::chrono::system_clock::time_point now) {
  std::string facts;
  const auto add = [&facts](const std::string& fact) { facts += (facts.empty() ? "" : ", ") + fact; };
  if (holder.pid) add(fmt::format("pid {}", *holder.pid));
  if (holder.uid) add(fmt::format("uid {}", *holder.uid));
  if (!holder.host.empty()) add("on " + printable(holder.host));
  if (!holder.label.empty() && holder.label != holder.program) add('"' + printable(holder.label) + '"');

  std::string text = holder.program.empty() ? (facts.empty() ? "another program" : "somebody") : printable(holder.program);
  if (!facts.empty()) text += " (" + facts + ")";
  if (holder.since) {
    const std::time_t since = std::chrono::system_clock::to_time_t(*holder.since);
    text += fmt::format(" since {:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(since));
    if (now > *holder.since) text += ", for " + Duration{std::chrono::floor<std::chrono::milliseconds>(now - *holder.since)}.text();
  }
  return text;
}

}  // namespace sherlock::detail
