// SPDX-License-Identifier: MIT
// What --json prints: one object a command, {"version":1,...}. Times are RFC 3339 in UTC, lengths of time end in _ms, fences are text
// (they do not fit a double), what is not known is null, bytes that are no UTF-8 become U+FFFD (the key still tells names apart). ASCII
// only: a terminal may take the rest of Unicode for commands, too.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include <sherlock/holder.hpp>
#include <sherlock/traits.hpp>

#include "text.hpp"

namespace sherlock::cli {

using Json = nlohmann::ordered_json;

Json to_json(const LockInfo& lock, WallTime now);
Json to_json(const Traits& traits);

// The line to print.
std::string json_line(Json members);

}  // namespace sherlock::cli
