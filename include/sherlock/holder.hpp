// SPDX-License-Identifier: MIT
// Who has a lock, for people. Nothing here decides anything: it is a look, and may be stale when it is read.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace sherlock {

// What the store does not know is empty. A holder that is no user of this library (flock(1), say) is a Holder without facts.
struct Holder {
  std::optional<std::int64_t> pid{};  // as the holder saw itself: another pid namespace may number it differently
  std::optional<std::int64_t> uid{};
  std::string host{};
  std::string program{};
  std::string label{};
  std::optional<std::chrono::system_clock::time_point> since{};   // wall clock at the grant
  std::optional<std::chrono::system_clock::time_point> expiry{};  // wall clock, as far as it can be told; empty: never
  std::optional<std::uint64_t> fence{};
  std::optional<std::uint64_t> waiting{};  // how many wait, where the store counts them
};

// One lock of a store, as `list` finds it.
struct LockInfo {
  std::string name{};
  std::string ns{};
  std::string key{};
  std::string path{};              // where other programs find it, if anywhere: the lock file
  std::optional<Holder> holder{};  // empty when free
};

}  // namespace sherlock
