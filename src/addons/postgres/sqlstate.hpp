// SPDX-License-Identifier: MIT
// What an error of the server means.
#pragma once

#include <string>
#include <string_view>

namespace sherlock::addons::postgres {

inline constexpr std::string_view kNoTable = "42P01";

// Throws the Failure that it is, or Broken where the same may be asked again on a new connection. `text` is the server's own, as it may be shown.
[[noreturn]] void throw_error(std::string_view sqlstate, const std::string& text);

}  // namespace sherlock::addons::postgres
