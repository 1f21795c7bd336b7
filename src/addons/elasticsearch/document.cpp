// SPDX-License-Identifier: MIT
#include "addons/elasticsearch/document.hpp"

#include <nlohmann/json.hpp>

#include "addons/common/facts.hpp"

namespace sherlock::addons::elasticsearch {
namespace {

using nlohmann::json;

// A value of that type, or nothing: what is read was written by strangers.
template <class T>
std::optional<T> member(const json& object, const char* name, bool (*is)(const json&)) {
  const auto found = object.find(name);
  if (found == object.end() || !is(*found)) return std::nullopt;
  return found->get<T>();
}

bool is_text(const json& value) { return value.is_string() && value.get_ref<const std::string&>().size() <= kMostFacts; }
bool is_bool(const json& value) { return value.is_boolean(); }
bool is_count(const json& value) { return value.is_number_unsigned() && value.get<std::uint64_t>() <= INT64_MAX; }

}  // namespace

std::string encode(const Document& document) {
  json object{{"owner", document.owner}, {"held", document.held},   {"fence", std::to_string(document.fence)}, {"abandoned", document.abandoned},
              {"note", document.note},   {"since", document.since}, {"fence_unsure", document.fence_unsure}};
  if (document.ttl) object["ttl"] = document.ttl->count();
  return object.dump();
}

std::optional<Document> decode(const json& source) {
  if (!source.is_object()) return std::nullopt;
  const auto owner = member<std::string>(source, "owner", is_text), fence = member<std::string>(source, "fence", is_text);
  const auto held = member<bool>(source, "held", is_bool);
  const std::uint64_t number = read_number(fence.value_or("")).value_or(UINT64_MAX);
  if (!owner || !held || number == UINT64_MAX) return std::nullopt;
  Document document{.owner = *owner, .held = *held, .fence = number, .fence_unsure = member<bool>(source, "fence_unsure", is_bool).value_or(false),
                    .abandoned = member<bool>(source, "abandoned", is_bool).value_or(false), .ttl = std::nullopt,
                    .note = member<std::string>(source, "note", is_text).value_or(""), .since = member<std::int64_t>(source, "since", is_count).value_or(0)};
  if (source.contains("ttl")) {
    // One that is no number is not taken for never, nor for nothing.
    const auto ttl = member<std::int64_t>(source, "ttl", is_count);
    if (!ttl) return std::nullopt;
    document.ttl = std::chrono::milliseconds{*ttl};
  }
  return document;
}

}  // namespace sherlock::addons::elasticsearch
