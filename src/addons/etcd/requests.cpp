// SPDX-License-Identifier: MIT
#include "addons/etcd/requests.hpp"

#include <fmt/core.h>

#include "addons/etcd/base64.hpp"

namespace sherlock::addons::etcd {
namespace {

constexpr const char* kTransaction = "/v3/kv/txn";
constexpr int kPage = 1000;  // keys of a list
constexpr const char* kAbandoned = ",\"abandoned\":true}";

// What ends a range of all keys that begin with `folder`, which ends with a '/'.
std::string after_all_in(std::string folder) {
  ++folder.back();
  return folder;
}

Json all_of(const Keys& keys) { return {{"key", to_base64(keys.folder)}, {"range_end", to_base64(after_all_in(keys.folder))}}; }

std::uint64_t revision_of(const Server& server, const Json& answer) {
  const auto revision = server.number(server.object(answer, "header"), "revision");
  if (revision == 0) server.bad_answer();
  return revision;
}

Sight sight_of(const Server& server, const Json& range, const Keys& keys, std::uint64_t revision) {
  Sight sight{.revision = revision, .owner = {}, .note = {}};
  for (const Json& kv : server.array(range, "kvs")) {
    const std::string key = server.bytes(kv, "key");
    const std::uint64_t fence = server.number(kv, "mod_revision");
    if (fence == 0) server.bad_answer();
    if (key == keys.owner) {
      sight.owner = server.bytes(kv, "value");
      sight.lease = server.number(kv, "lease");
      sight.fence = fence;
    } else if (key == keys.note) {
      sight.note = server.bytes(kv, "value");
      sight.note_fence = fence;
    }
  }
  return sight;
}

// The answer to the n-th request of a transaction.
const Json& response(const Server& server, const Json& answer, std::size_t n, const char* kind) {
  const Json& responses = server.array(answer, "responses");
  if (n >= responses.size() || !responses[n].contains(kind)) server.bad_answer();
  return server.object(responses[n], kind);
}

Json put(const std::string& key, std::string_view value, std::uint64_t lease = 0) {
  Json request{{"key", to_base64(key)}, {"value", to_base64(value)}};
  if (lease != 0) request["lease"] = std::to_string(lease);
  return {{"request_put", std::move(request)}};
}

}  // namespace

Keys::Keys(std::string_view key) : folder{fmt::format("{}{}/", kPrefix, key)}, owner{folder + "owner"}, note{folder + "note"} {}

Try take(Server& server, const Keys& keys, std::string_view owner, std::uint64_t lease, std::string_view note, Deadline deadline) {
  const Json abandoned{{"key", to_base64(keys.note)}, {"target", "CREATE"}, {"result", "GREATER"}, {"create_revision", "0"}};
  const Json noting{{"compare", Json::array({abandoned})},
                    {"success", Json::array({put(keys.note, abandoned_note(note))})},
                    {"failure", Json::array({put(keys.note, note)})}};
  const Json nobody{{"key", to_base64(keys.owner)}, {"target", "CREATE"}, {"result", "EQUAL"}, {"create_revision", "0"}};
  const Json request{{"compare", Json::array({nobody})},
                     {"success", Json::array({put(keys.owner, owner, lease), Json{{"request_txn", noting}}})},
                     {"failure", Json::array({Json{{"request_range", all_of(keys)}}})}};
  const Answer answer = server.ask(kTransaction, request, deadline);
  const std::uint64_t revision = revision_of(server, answer.json);
  if (server.flag(answer.json, "succeeded"))
    return {.granted = true, .abandoned = server.flag(response(server, answer.json, 1, "response_txn"), "succeeded"), .sight = {.revision = revision, .owner = {}, .note = {}}};
  Try refused{.sight = sight_of(server, response(server, answer.json, 0, "response_range"), keys, revision)};
  if (!refused.sight.owner) server.bad_answer();
  return refused;
}

LettingGo let_go(Server& server, const Keys& keys, std::string_view owner, std::uint64_t fence, Deadline deadline) {
  Json ours = Json::array({Json{{"key", to_base64(keys.owner)}, {"target", "VALUE"}, {"result", "EQUAL"}, {"value", to_base64(owner)}}});
  if (fence != 0) ours.push_back({{"key", to_base64(keys.owner)}, {"target", "MOD"}, {"result", "EQUAL"}, {"mod_revision", std::to_string(fence)}});
  Json removal = all_of(keys);
  removal["prev_kv"] = true;
  const Json request{{"compare", ours},
                     {"success", Json::array({Json{{"request_delete_range", removal}}})},
                     {"failure", Json::array({Json{{"request_range", all_of(keys)}}})}};
  const Answer answer = server.ask(kTransaction, request, deadline);
  const std::uint64_t revision = revision_of(server, answer.json);
  LettingGo outcome{.repeated = answer.repeated, .sight = {.revision = revision, .owner = {}, .note = {}}};
  if (server.flag(answer.json, "succeeded")) {
    outcome.done = true;
    for (const Json& kv : server.array(response(server, answer.json, 0, "response_delete_range"), "prev_kvs"))
      if (server.bytes(kv, "key") == keys.owner) outcome.lease = server.number(kv, "lease");
  } else {
    outcome.sight = sight_of(server, response(server, answer.json, 0, "response_range"), keys, revision);
  }
  return outcome;
}

Sight look(Server& server, const Keys& keys, Deadline deadline) {
  const Answer answer = server.ask("/v3/kv/range", all_of(keys), deadline);
  return sight_of(server, answer.json, keys, revision_of(server, answer.json));
}

std::uint64_t grant_lease(Server& server, std::int64_t seconds, Deadline deadline) {
  const Answer answer = server.ask("/v3/lease/grant", {{"TTL", std::to_string(seconds)}}, deadline);
  const std::uint64_t lease = server.number(answer.json, "ID");
  if (lease == 0 || lease > INT64_MAX || server.number(answer.json, "TTL") < static_cast<std::uint64_t>(seconds)) server.bad_answer();
  return lease;
}

bool keep_lease(Server& server, std::uint64_t lease, Deadline deadline) {
  const Answer answer = server.ask("/v3/lease/keepalive", {{"ID", std::to_string(lease)}}, deadline);
  const Json& result = server.object(answer.json, "result");
  if (server.number(result, "ID") != lease) server.bad_answer();
  return server.number(result, "TTL") > 0;
}

std::optional<std::int64_t> lease_left(Server& server, std::uint64_t lease, Deadline deadline) {
  const Answer answer = server.ask("/v3/lease/timetolive", {{"ID", std::to_string(lease)}}, deadline);
  const std::uint64_t granted = server.number(answer.json, "grantedTTL"), left = server.number(answer.json, "TTL");
  if (granted == 0) return std::nullopt;
  if (left > granted || granted > INT64_MAX) server.bad_answer();
  return static_cast<std::int64_t>(left);
}

void revoke_lease(Server& server, std::uint64_t lease, Deadline deadline) {
  server.ask("/v3/lease/revoke", {{"ID", std::to_string(lease)}}, deadline);
}

std::string abandoned_note(std::string_view note) {
  if (!note.ends_with('}')) return std::string{note};
  note.remove_suffix(1);
  return std::string{note} + kAbandoned;
}

bool tells_abandoned(std::string_view note) { return note.ends_with(kAbandoned); }

Json watch_request(const Keys& keys, std::uint64_t after) {
  return {{"create_request", {{"key", to_base64(keys.owner)}, {"start_revision", std::to_string(after + 1)}, {"filters", Json::array({"NOPUT"})}}}};
}

void for_each(Server& server, Deadline deadline, const std::function<void(const std::string&, Sight)>& each) {
  const std::string end = to_base64(after_all_in(std::string{kPrefix}));
  std::string from{kPrefix};
  std::string key;  // whose keys have come, perhaps not all
  Sight sight;
  for (bool more = true; more;) {
    if (deadline.passed()) throw Failure{Errc::busy, server.text() + ": there are too many locks to look at in time"};
    const Answer answer = server.ask("/v3/kv/range", {{"key", to_base64(from)}, {"range_end", end}, {"limit", std::to_string(kPage)}}, deadline);
    const Json& kvs = server.array(answer.json, "kvs");
    const std::string first = from;
    for (const Json& kv : kvs) {
      std::string_view name = from = server.bytes(kv, "key");
      const auto slash = name.rfind('/');
      if (!name.starts_with(kPrefix) || slash < kPrefix.size()) continue;
      const std::string_view this_key = name.substr(kPrefix.size(), slash - kPrefix.size());
      if (this_key != key) {
        if (sight.owner || sight.note) each(key, std::move(sight));
        sight = {};
        key = this_key;
      }
      const Sight one = sight_of(server, Json{{"kvs", Json::array({kv})}}, Keys{key}, 0);
      if (one.owner) sight.owner = one.owner, sight.lease = one.lease, sight.fence = one.fence;
      if (one.note) sight.note = one.note, sight.note_fence = one.note_fence;
    }
    more = server.flag(answer.json, "more") && !kvs.empty();
    // Keys come in order, and each page begins after the last.
    if (from < first) server.bad_answer();
    from += '\0';
  }
  if (sight.owner || sight.note) each(key, std::move(sight));
}

}  // namespace sherlock::addons::etcd
