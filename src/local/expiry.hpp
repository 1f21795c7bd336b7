// SPDX-License-Identifier: MIT
// When a lease is over, as an entry records it: microseconds of CLOCK_BOOTTIME << 16 | low bits of the tag of the word whose lease it is. 0 microseconds:
// never. A record of another tag says nothing about the present hold.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <sherlock/claim.hpp>

#include "local/layout.hpp"
#include "local/word.hpp"

namespace sherlock::local {

inline constexpr std::uint64_t kMicros = 1000;

// Of a lease that ends then, or (zero) of a hold that never does.
constexpr std::uint64_t expiry_record(std::chrono::nanoseconds ends, std::uint32_t tag) {
  constexpr std::uint64_t kLast = (1ull << 48) - 1;
  // Rounded up: the store must not end a lease before its holder does.
  const std::uint64_t micros = ends.count() == 0 ? 0 : std::min(static_cast<std::uint64_t>(ends.count()) / kMicros + 1, kLast);
  return micros << 16 | static_cast<std::uint16_t>(tag);
}

// For a hold that begins, or goes on, at claim.now().
inline std::uint64_t expiry_record(const Claim& claim, std::uint32_t tag) {
  return expiry_record(claim.expire.is_infinite() ? std::chrono::nanoseconds{} : claim.expire.after(claim.now()), tag);
}

// Whether `record` ends the hold that `word` names, or its renewal that is just being written (one tag ahead).
constexpr bool expired(std::uint64_t record, std::uint64_t word, std::chrono::nanoseconds boottime) {
  const auto ahead = static_cast<std::uint16_t>(static_cast<std::uint16_t>(record) - static_cast<std::uint16_t>(gate::tag(word)));
  return ahead <= 1 && (record >> 16) != 0 && static_cast<std::uint64_t>(boottime.count()) / kMicros >= record >> 16;
}

// The record of a lease that is over since ever: a renewal, which swaps the record that it wrote, finds another one.
constexpr std::uint64_t over(std::uint64_t record) { return 1ull << 16 | static_cast<std::uint16_t>(record); }

inline bool expired(const Entry& entry, std::uint64_t word, std::chrono::nanoseconds boottime) {
  return expired(entry.expiry.load(), word, boottime);
}

}  // namespace sherlock::local
