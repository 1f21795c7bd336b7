// SPDX-License-Identifier: MIT
// What a row says about its lock, once it is known who lives.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <sherlock/claim.hpp>

#include "backends/sqlite/rows.hpp"
#include "local/expiry.hpp"
#include "local/presence.hpp"

namespace sherlock::sqlite {

enum class Standing {
  free,
  left,     // by somebody who did not let go: he died, his machine was restarted, or somebody wrote what we would not have written
  expired,  // its holder lives, but its lease is over
  held,
};

// As Row::expires.
inline std::int64_t instant(std::chrono::nanoseconds boottime) { return kBase + boottime.count() / static_cast<std::int64_t>(local::kMicros); }

// When a hold that begins, or goes on, at claim.now() ends; the same as its entry in the companion says.
inline std::int64_t expires(const Claim& claim) { return kBase + static_cast<std::int64_t>(local::expiry_record(claim, 0) >> 16); }
inline std::int64_t ends(const Claim& claim, std::int64_t wall) {
  return claim.expire.is_infinite() ? kNever : std::min(claim.expire.after(std::chrono::nanoseconds{wall}).count(), kNever - 1);
}

template <class ReadBoottime>
Standing judge(const Row& row, const local::Presence& presence, std::int64_t epoch, ReadBoottime boot) {
  if (row.owner == kFree) return Standing::free;
  if (!is_owner(row.owner) || row.epoch != epoch || !presence.alive(identity_of(row.owner))) return Standing::left;
  return row.expires > kNever && instant(boot()) >= row.expires ? Standing::expired : Standing::held;
}

}  // namespace sherlock::sqlite
