// SPDX-License-Identifier: MIT
// What is kept of a lock: the value of one item, whose key is "sherlock:" and the lock's. It stays when the lock is released, so that the fence goes on.
// As text: "sherlock1 OWNER HELD ABANDONED FENCE TTL SINCE WRITE NOTE", one line; TTL is '-' for never.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "addons/common/sight.hpp"

namespace sherlock::addons::memcached {

struct Record {
  std::string owner;                             // of the last grant
  bool held = false;                             // until it is released
  bool abandoned = false;                        // whether the last grant followed a hold that was not released
  std::uint64_t fence = 0;                       // of the last grant
  std::optional<std::chrono::milliseconds> ttl;  // how long others must see it unchanged before it is theirs; nothing: never
  std::int64_t since = 0;                        // milliseconds of the holder's wall clock, for people
  std::uint64_t write = 0;                       // which of the owner's writes this is: no two have the same text
  std::string note;                              // who the last owner is; see addons/common/facts.hpp
};

// A record as it was read: no other state of the item ever has the same `cas` while the server lives. A new one counts from 1 again.
struct Found {
  Record record;
  std::uint64_t cas = 0;
  std::uint64_t connections = 0;  // that this process had made by then: those are to the server that gave this `cas`, or broken

  const Record& content() const { return record; }
  bool unchanged_since(const Found& earlier) const {
    return cas == earlier.cas && record.owner == earlier.record.owner && record.write == earlier.record.write;
  }
};
// The server's clock has whole seconds and may stand still with it, so it ends no lease in which somebody could believe.
using Sight = addons::Sight<Found>;

std::string encode(const Record& record);
// Nothing, where that is no record of ours.
std::optional<Record> decode_record(std::string_view text);

}  // namespace sherlock::addons::memcached
