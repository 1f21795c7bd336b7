// SPDX-License-Identifier: MIT
// The companion as processes share it: a file (or segment) mapped by all of them. Fixed-width fields only; whatever is read from here is
// untrusted: copied once, masked, bounded.
//
//   0        Header                       one page
//   4 KiB    WaitCell[4096]               who waits for what, for people
//   36 KiB   Slot[4096]                   a process each: generation, life word, facts for people
//   548 KiB  Entry[2048]                  a lock each
//   804 KiB  Fingerprint[2048]            of the key of each entry, so that a search touches few entries
//   806 KiB  text                         names and labels, handed out from the front
//   1 MiB    further segments, each as large as everything before it: entries in the first half, then fingerprints, SegmentHeader, text
//
// Zeroed space is valid: no entry, nobody waiting. Nothing in it is a lock that blocks another name: every transition is one
// compare-and-swap, or is repeatable by whoever comes next.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "posix/futex.hpp"

namespace sherlock::local {

using posix::Word;
using Word64 = std::atomic<std::uint64_t>;
static_assert(Word64::is_always_lock_free && sizeof(Word64) == 8);

inline constexpr std::uint64_t kMagic = 0x314b434f4c524853;  // "SHRLOCK1"
inline constexpr std::uint32_t kVersion = 4;
// Version and whatever else makes two builds disagree about the layout (a robust mutex differs in size between 32 and 64 bits).
inline constexpr std::uint32_t kFormat = kVersion << 16 | static_cast<std::uint32_t>(sizeof(void*)) << 8 | static_cast<std::uint32_t>(sizeof(pthread_mutex_t));

inline constexpr std::uint32_t kSlots = 4096;
inline constexpr std::uint32_t kFirstEntries = 2048;
inline constexpr std::uint64_t kFirstSegment = 1 << 20;
inline constexpr std::uint32_t kMaxSegments = 12;  // 2 GiB in all

struct Header {
  Word64 magic;  // last to be written, first to be cleared
  std::uint32_t format;
  std::uint32_t reserved;
  std::uint8_t boot_id[16];
  std::uint64_t time_namespace;  // leases of two of them cannot be compared
  std::int64_t epoch;            // wall clock in nanoseconds when it was made: tells this companion from those before and after it
  Word64 floor;                  // no entry made from now on has a first fence below
  Word segments;
  Word text_used;  // of the first segment, in bytes
  Word64 made_device, made_inode;  // of the database beside it, where we made that and may make it anew (sqlite); 0: none. Outlive a remaking
  Word64 database;                 // inode of the one that a process that comes now uses
};
static_assert(sizeof(Header) <= 4096);

// 0: free. Otherwise who waits and for which entry, see wait_cells.hpp.
using WaitCell = Word64;

struct Slot {
  pthread_mutex_t life;  // robust, locked by a thread of the process for as long as that lives; its first word is the futex
  Word generation;
  std::int32_t pid;
  std::uint32_t uid;
  char program[32];  // zero-terminated where shorter, as is host
  char host[44];
};
static_assert(sizeof(Slot) == 128, "part of the format");

struct Entry {
  Word64 word;     // the gate: see word.hpp
  Word64 tenure;   // whose entry it is: see table.cpp
  Word64 hash[2];  // of the key
  Word64 fence;    // of the last grant
  Word64 expiry;   // of the present hold: microseconds of CLOCK_BOOTTIME << 16 | low bits of the word's tag. 0 microseconds: never
  Word64 since;    // wall clock of the last grant in nanoseconds, for people
  Word text;       // offset of its TextBlock in units of 16 bytes; 0: none
  Word marks;      // kAbandoned, kOwnLabel
  // Up to here a cache line, all that an uncontended hold looks at: of many names none of those that are used now and then is in a cache.
  Word64 stragglers;  // late lease holders that may still have the file locked: see parking.hpp
  Word64 probe;       // who looks with a shared flock just now: count << 32 | identity; low half 0: nobody
  Word64 heir_id;     // who has the first seat of the queue,
  Word64 heir_since;  // and when it began to wait: nanoseconds of CLOCK_MONOTONIC
  Word heir;          // futexes: the heir sleeps on this,
  Word queue;         // those behind it on this,
  Word elders;        // and those who slept through a whole slice on this
  Word elder_count;   // a hint: too high after a death costs a system call
};
static_assert(sizeof(Entry) == 112 && offsetof(Entry, stragglers) == 64, "part of the format");

// Both of its lines, which are another processor's where there was a wait: soon we shall have to write on them.
inline void prefetch(const Entry& entry) {
  __builtin_prefetch(&entry.word, 1);
  __builtin_prefetch(&entry.heir, 1);
}

inline constexpr std::uint32_t kAbandoned = 1;  // the last hold ended by death or expiry, and nobody was told yet
inline constexpr std::uint32_t kOwnLabel = 2;   // the label that is written here is not the program's name (shm)

// An entry's share of the space, a cache line pair.
inline constexpr std::size_t kEntryStride = 128;
static_assert(sizeof(Entry) <= kEntryStride);

// Of the key that an entry has or last had; 0: none ever. Written before the entry is offered.
using Fingerprint = std::atomic<std::uint8_t>;
static_assert(Fingerprint::is_always_lock_free && sizeof(Fingerprint) == 1);

struct TextBlock {
  std::uint32_t capacity;  // bytes after this struct
  std::uint16_t ns_size;
  std::uint16_t name_size;
  std::uint16_t label_size;
  std::uint16_t reserved[3];
  // then ns, name, label
};
static_assert(sizeof(TextBlock) == 16);

struct SegmentHeader {
  Word text_used;
};

inline constexpr std::uint64_t kWaitCellsAt = 4096;
inline constexpr std::uint64_t kSlotsAt = kWaitCellsAt + kSlots * sizeof(WaitCell);
inline constexpr std::uint64_t kEntriesAt = kSlotsAt + kSlots * sizeof(Slot);
inline constexpr std::uint64_t kFingerprintsAt = kEntriesAt + kFirstEntries * kEntryStride;
inline constexpr std::uint64_t kTextAt = kFingerprintsAt + kFirstEntries * sizeof(Fingerprint);
static_assert(kTextAt < kFirstSegment);

// Where a segment begins, and what is in it.
struct SegmentShape {
  std::uint64_t begin, size, entries_at, fingerprints_at, text_at;
  std::uint32_t entries;  // a power of two
};

constexpr SegmentShape segment_shape(std::uint32_t index) {
  if (index == 0) return {0, kFirstSegment, kEntriesAt, kFingerprintsAt, kTextAt, kFirstEntries};
  const std::uint64_t size = kFirstSegment << (index - 1), begin = size, entries = size / 2 / kEntryStride, fingerprints_at = begin + size / 2;
  // One stride before the text is the header's.
  return {begin, size, begin, fingerprints_at, fingerprints_at + entries * sizeof(Fingerprint) + kEntryStride, static_cast<std::uint32_t>(entries)};
}

// Bytes of the file that carry locks of the kernel, far behind everything that is mapped. A process has both bytes of its slot.
inline constexpr std::int64_t kClaimByte = 1ll << 40;                  // taken first: whoever has it may move the generation on
inline constexpr std::int64_t kPresenceByte = kClaimByte + kSlots;     // taken last: its owner is alive
inline constexpr std::int64_t kInitByte = kPresenceByte + kSlots;      // shared while opening, exclusive while remaking

}  // namespace sherlock::local
