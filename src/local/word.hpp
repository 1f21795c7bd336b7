// SPDX-License-Identifier: MIT
// The gate word of an entry: one 64-bit word that says whether the key is free and whose it is. Every transition is one compare-and-swap from
// exactly the word that was read.
//
//   free       nobody
//   acquiring  its owner is in the short section of a grant or a release
//   held       its owner has the lock
//   reserved   free, but kept for the first waiter (the heir) for a moment; only waiting verbs respect that
//   foreign    its owner waits for somebody who is no user of this library and has the file locked
//
// The tag is one more for every acquire and renew, so that a word read long ago cannot be mistaken for today's.
#pragma once

#include <cstdint>

namespace sherlock::local {

enum class GateState : std::uint8_t { free = 0, acquiring = 1, held = 2, reserved = 3, foreign = 4 };

namespace gate {

// queue 1 | heir 1 | asleep 1 | unused 1 | state 3 | slot 12 | generation 18 | tag 27, from the top.
inline constexpr std::uint64_t kQueue = 1ull << 63;   // somebody waits behind the heir
inline constexpr std::uint64_t kHeir = 1ull << 62;    // the first seat is taken
inline constexpr std::uint64_t kAsleep = 1ull << 61;  // the heir sleeps: a release wakes it
inline constexpr std::uint64_t kHeirFlags = kHeir | kAsleep;
inline constexpr std::uint64_t kFlags = kQueue | kHeirFlags;

inline constexpr unsigned kStateShift = 57, kSlotShift = 45, kGenerationShift = 27;
inline constexpr std::uint64_t kSlotMask = (1ull << 12) - 1, kGenerationMask = (1ull << 18) - 1, kTagMask = (1ull << 27) - 1;

constexpr GateState state(std::uint64_t word) { return static_cast<GateState>(word >> kStateShift & 7); }
constexpr std::uint32_t slot(std::uint64_t word) { return static_cast<std::uint32_t>(word >> kSlotShift & kSlotMask); }
constexpr std::uint32_t generation(std::uint64_t word) { return static_cast<std::uint32_t>(word >> kGenerationShift & kGenerationMask); }
constexpr std::uint32_t tag(std::uint64_t word) { return static_cast<std::uint32_t>(word & kTagMask); }
constexpr std::uint64_t flags(std::uint64_t word) { return word & kFlags; }
// Without what waiters write: what only its owner changes.
constexpr std::uint64_t core(std::uint64_t word) { return word & ~kFlags; }

constexpr std::uint64_t with(std::uint64_t word, GateState state) {
  return (word & ~(7ull << kStateShift)) | static_cast<std::uint64_t>(state) << kStateShift;
}

}  // namespace gate

// A process as the companion knows it: a slot and how often that was given out. 0 is nobody.
struct Identity {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;

  static constexpr Identity of(std::uint64_t word) { return {gate::slot(word), gate::generation(word)}; }
  // 31 bits, never 0.
  constexpr std::uint32_t packed() const { return 1u << 30 | generation << 12 | slot; }
  static constexpr Identity unpack(std::uint32_t packed) { return {packed & 0xfff, packed >> 12 & 0x3ffff}; }
  friend constexpr bool operator==(Identity, Identity) = default;
};

namespace gate {

constexpr std::uint64_t make(GateState state, Identity who, std::uint32_t tag) {
  return static_cast<std::uint64_t>(state) << kStateShift | static_cast<std::uint64_t>(who.slot & kSlotMask) << kSlotShift |
         static_cast<std::uint64_t>(who.generation & kGenerationMask) << kGenerationShift | (tag & kTagMask);
}
// What to put in the place of `word` to take it.
constexpr std::uint64_t taken_by(Identity who, std::uint64_t word) { return make(GateState::acquiring, who, tag(word) + 1); }

}  // namespace gate

}  // namespace sherlock::local
