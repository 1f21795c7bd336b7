// SPDX-License-Identifier: MIT
// What the cluster does in one step, as transactions of etcd: one a verb. Each may be asked again when its answer was lost, and says the same.
//
// A lock has two keys while it is held:
//   sherlock/KEY/owner  the owner, a token of 32 digits. Attached to the holder's lease, so it goes when that ends; to none with `never`
//   sherlock/KEY/note   who that is (JSON, for people). Attached to nothing: it goes with the release, so whoever finds one without an owner takes a lock
//                       that was abandoned
// Both are written by the grant and never again, so the revision of both is the fence.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "addons/etcd/server.hpp"

namespace sherlock::addons::etcd {

inline constexpr std::string_view kPrefix = "sherlock/";

// What a lock is called in the cluster.
struct Keys {
  std::string folder, owner, note;

  explicit Keys(std::string_view key);
};

// What the cluster knew of a lock, at that revision.
struct Sight {
  std::uint64_t revision = 0;
  std::optional<std::string> owner;  // nobody holds it where there is none
  std::uint64_t lease = 0;           // of the owner; 0 is never
  std::uint64_t fence = 0;           // of the owner
  std::optional<std::string> note;
  std::uint64_t note_fence = 0;      // of whom the note is
};

// Granted, or what was in the way: the owner may be ourselves, when an answer was lost.
struct Try {
  bool granted = false, abandoned = false;
  Sight sight;  // granted: only the revision, which is the fence
};
// Refused (not_found) where there is no such lease.
Try take(Server& server, const Keys& keys, std::string_view owner, std::uint64_t lease, std::string_view note, Deadline deadline);

struct LettingGo {
  bool done = false, repeated = false;
  Sight sight;              // not done: what is there instead
  std::uint64_t lease = 0;  // done: it is free for something else
};
// Without a fence, whatever hold the owner has.
LettingGo let_go(Server& server, const Keys& keys, std::string_view owner, std::uint64_t fence, Deadline deadline);

Sight look(Server& server, const Keys& keys, Deadline deadline);

// A lease of that many seconds, or more. Not 0.
std::uint64_t grant_lease(Server& server, std::int64_t seconds, Deadline deadline);
// Begins it anew. False: it has ended.
bool keep_lease(Server& server, std::uint64_t lease, Deadline deadline);
// Seconds until it ends; nothing where it has ended.
std::optional<std::int64_t> lease_left(Server& server, std::uint64_t lease, Deadline deadline);
void revoke_lease(Server& server, std::uint64_t lease, Deadline deadline);

// What a note says of whoever held the lock before: whether it was abandoned.
std::string abandoned_note(std::string_view note);
bool tells_abandoned(std::string_view note);

// What a listener asks: to be told of every end of a hold after that revision.
Json watch_request(const Keys& keys, std::uint64_t after);

// Every lock that is held or was abandoned, by its key.
void for_each(Server& server, Deadline deadline, const std::function<void(const std::string& key, Sight sight)>& each);

}  // namespace sherlock::addons::etcd
