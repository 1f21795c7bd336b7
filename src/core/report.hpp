// SPDX-License-Identifier: MIT
// Sentences for people, made when somebody asks.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include <sherlock/holder.hpp>

namespace sherlock::detail {

// Bytes that a terminal could take for commands are shown as \xNN.
std::string printable(std::string_view text);

// "backup.sh (pid 4242, uid 1000, \"full dump\") since 2026-11-23T10:02:00Z, for 3m12s"
std::string describe(const Holder& holder, std::chrono::system_clock::time_point now);

}  // namespace sherlock::detail
