// SPDX-License-Identifier: MIT
#include "addons/memcached/record.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "addons/common/facts.hpp"

namespace sherlock::addons::memcached {
namespace {

constexpr std::string_view kFormat = "sherlock1";

std::string_view take_word(std::string_view& text) {
  const auto end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

std::optional<bool> read_bool(std::string_view word) {
  if (word != "0" && word != "1") return std::nullopt;
  return word == "1";
}

// What fits into an int64 too, so that it can be counted with.
std::optional<std::uint64_t> read_count(std::string_view word) {
  const auto number = read_number(word);
  return number && *number <= INT64_MAX ? number : std::nullopt;
}

}  // namespace

std::string encode(const Record& record) {
  return fmt::format("{} {} {:d} {:d} {} {} {} {} {}", kFormat, record.owner, record.held, record.abandoned, record.fence,
                     record.ttl ? std::to_string(record.ttl->count()) : "-", record.since, record.write, record.note);
}

std::optional<Record> decode_record(std::string_view text) {
  if (take_word(text) != kFormat) return std::nullopt;
  const std::string_view owner = take_word(text);
  const auto held = read_bool(take_word(text)), abandoned = read_bool(take_word(text));
  const auto fence = read_count(take_word(text));
  const std::string_view lease = take_word(text);
  const auto ttl = lease == "-" ? 0 : read_count(lease), since = read_count(take_word(text));
  const auto write = read_number(take_word(text));
  if (owner.size() != 32 || !held || !abandoned || !fence || !ttl || !since || !write || text.size() > kMostFacts) return std::nullopt;
  Record record{.owner = std::string{owner}, .held = *held, .abandoned = *abandoned, .fence = *fence, .ttl = std::nullopt,
                .since = static_cast<std::int64_t>(*since), .write = *write, .note = std::string{text}};
  if (lease != "-") record.ttl = std::chrono::milliseconds{*ttl};
  return record;
}

}  // namespace sherlock::addons::memcached
