// SPDX-License-Identifier: MIT
#include "local/mode.hpp"

#include <fmt/core.h>

#include <charconv>

namespace sherlock::local {

unsigned parse_mode(std::string_view digits, const std::function<void(std::string_view)>& refuse) {
  unsigned mode = 0;
  const char* const end = digits.data() + digits.size();
  const auto [read, error] = std::from_chars(digits.data(), end, mode, 8);
  if (error != std::errc{} || read != end || mode > 0777) refuse(fmt::format("'{}' is no mode", digits));
  if ((mode & 0600) != 0600 || (mode & 0111) != 0) refuse(fmt::format("mode {:04o} must let the owner read and write, and nobody execute", mode));
  return mode;
}

}  // namespace sherlock::local
