// SPDX-License-Identifier: MIT
// A log of holds, each an interval that its holder wrote down, and the search for two that should not have met. For locks that may be lost:
// there two holders may overlap, but not silently, and not before the first one's time was over.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace stress {

struct Hold {
  enum Kind : std::uint8_t { never, lease, foreign };
  std::atomic<std::int64_t> start;     // after the grant
  std::atomic<std::int64_t> deadline;  // from before the request; of the last good renewal
  std::atomic<std::int64_t> end;       // before the release, or before the kill; 0: still held
  std::atomic<std::int64_t> in_doubt;  // a renewal was begun, which lets go of a hold that is lost: whoever is killed in it may hold nothing any more
  std::atomic<std::int64_t> answered;  // the release returned
  std::atomic<std::uint64_t> fence;
  std::atomic<bool> told;     // that it was lost
  std::atomic<bool> killed;
  Kind kind;
  std::int32_t worker;
};

inline constexpr std::uint64_t kMaxHolds = 1 << 20;

struct HoldLog {
  std::atomic<std::uint64_t> used;
  Hold hold[kMaxHolds];

  // `open`: where whoever may kill the holder finds the hold, to write down its end.
  Hold* begin(Hold::Kind kind, int worker, std::int64_t start, std::int64_t deadline, std::uint64_t fence, std::atomic<Hold*>* open = nullptr);
};

struct Verdict {
  std::uint64_t holds = 0, leases = 0, foreign = 0;
  std::uint64_t late_overlaps = 0;    // after the deadline, and told: what a lease allows
  std::uint64_t short_untold = 0;     // met for less than kUntoldBelow: what the contract allows when the store is removed
  std::uint64_t overlaps = 0;         // not allowed
  std::uint64_t untold = 0;           // allowed, but the loser was not told
  std::uint64_t false_losses = 0;     // told of a loss before the deadline, with nobody else there
  std::uint64_t fences_back = 0;
};

enum class Removal {
  none,
  some,          // of what knows of holds; the files remain that say which fences are the later ones
  of_everything  // also of that: who still uses what was removed has fences of an earlier time, and is told, or brief
};

// Promised is a report when the last look is older than 10 ms; the coarse clock that tells how old it is may be a tick behind.
inline constexpr std::int64_t kUntoldBelow = 14'000'000;

// Where something is removed, a hold may be lost at any time; one of two that meet must have been told, unless they met for
// a moment only. What is removed is never the file that foreigners lock, where there are any.
Verdict judge(HoldLog& log, Removal removal);

}  // namespace stress
