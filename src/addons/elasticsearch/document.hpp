// SPDX-License-Identifier: MIT
// What is kept of a lock: one document of the index, whose id is the lock's key. It stays when the lock is released, so that the fence goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "addons/common/sight.hpp"

namespace sherlock::addons::elasticsearch {

struct Document {
  std::string owner;                             // of the last grant
  bool held = false;                             // until it is released
  std::uint64_t fence = 0;                       // of the last grant
  bool fence_unsure = false;                     // nobody has looked yet whether the index has forgotten a larger one
  bool abandoned = false;                        // whether the last grant followed a hold that was not released
  std::optional<std::chrono::milliseconds> ttl;  // how long others must see it unchanged before it is theirs; nothing: never
  std::string note;                              // who the last owner is, for people; see addons/common/facts.hpp
  std::int64_t since = 0;                        // milliseconds of the holder's wall clock, for people
};

// A state of a document: no other state of it ever has the same, while the index is not made anew.
struct Version {
  std::int64_t seq_no = 0, primary_term = 0;
  friend bool operator==(const Version&, const Version&) = default;
};

struct Found {
  Document document;
  Version version;

  const Document& content() const { return document; }
  // The version alone would not do: those of an index that was made anew begin again.
  bool unchanged_since(const Found& earlier) const {
    return version == earlier.version && document.owner == earlier.document.owner && document.fence == earlier.document.fence;
  }
};
using Sight = addons::Sight<Found>;  // Elasticsearch counts no leases

std::string encode(const Document& document);
// Nothing, where that is no document of ours.
std::optional<Document> decode(const nlohmann::json& source);

}  // namespace sherlock::addons::elasticsearch
