// SPDX-License-Identifier: MIT
// What a holder leaves in a store about itself, for people: a small JSON text. Whoever reads one has it from a stranger.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <sherlock/claim.hpp>
#include <sherlock/holder.hpp>

namespace sherlock::addons {

inline constexpr std::size_t kMostFacts = 16 * 1024;  // bytes of a text that is read at all; ours are smaller

struct Facts {
  Holder holder;         // `waiting` is no fact of it
  std::string name, ns;  // of the lock
};

// This process as the holder of the claim: pid, uid, host, program, label, name, ns. The store's own facts (since, expiry, fence) are the caller's to add.
Facts facts_of(const Claim& claim);

// Strings that are no UTF-8 are written as hexadecimal digits, under "<name>_hex". Times are milliseconds since 1970, a fence is a string.
std::string encode(const Facts& facts);

// What can be made out, bounded as our own are; nothing of what is no JSON object or too long. Never throws for what a stranger wrote.
Facts decode(std::string_view text);

// A fence, or another number of 64 bits, as stores write it: decimal digits only.
std::optional<std::uint64_t> read_number(std::string_view digits);

// A wall clock instant that a stranger wrote, in milliseconds; nothing where it cannot be counted with.
std::optional<std::chrono::system_clock::time_point> read_time(std::int64_t milliseconds);
std::int64_t written(std::chrono::system_clock::time_point time);

}  // namespace sherlock::addons
