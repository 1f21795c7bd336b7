// SPDX-License-Identifier: MIT
#include "addons/common/facts.hpp"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include <charconv>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace sherlock::addons {
namespace {

using nlohmann::json;

// The library is asked, because it is the one that would refuse to write it.
bool is_utf8(const std::string& text) {
  try {
    json(text).dump();
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

void put(json& object, const std::string& name, const std::string& text) {
  if (text.empty()) return;
  if (is_utf8(text)) {
    object[name] = text;
    return;
  }
  std::string digits;
  for (const char c : text) digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
  object[name + "_hex"] = digits;
}

std::string text_of(const json& object, const std::string& name, std::size_t longest) {
  if (const auto found = object.find(name); found != object.end() && found->is_string()) {
    const auto& text = found->get_ref<const std::string&>();
    return text.size() <= longest ? text : std::string{};
  }
  const auto found = object.find(name + "_hex");
  if (found == object.end() || !found->is_string()) return {};
  const auto& digits = found->get_ref<const std::string&>();
  if (digits.size() % 2 || digits.size() / 2 > longest) return {};
  std::string text;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    unsigned value = 0;
    const char* const end = digits.data() + i + 2;
    if (std::from_chars(digits.data() + i, end, value, 16).ptr != end) return {};
    text += static_cast<char>(value);
  }
  return text;
}

std::optional<std::int64_t> number_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  if (found->is_number_unsigned() && found->get<std::uint64_t>() > INT64_MAX) return std::nullopt;
  return found->get<std::int64_t>();
}

}  // namespace

Facts facts_of(const Claim& claim) {
  char host[HOST_NAME_MAX + 1] = {};
  ::gethostname(host, HOST_NAME_MAX);
  return {.holder = {.pid = ::getpid(), .uid = ::getuid(), .host = host, .program = program_invocation_short_name, .label = std::string{claim.label}},
          .name = std::string{claim.name}, .ns = std::string{claim.ns}};
}

std::string encode(const Facts& facts) {
  const Holder& holder = facts.holder;
  json object = json::object();
  if (holder.pid) object["pid"] = *holder.pid;
  if (holder.uid) object["uid"] = *holder.uid;
  put(object, "host", holder.host);
  put(object, "program", holder.program);
  put(object, "label", holder.label);
  put(object, "name", facts.name);
  put(object, "ns", facts.ns);
  if (holder.since) object["since"] = written(*holder.since);
  if (holder.expiry) object["expiry"] = written(*holder.expiry);
  if (holder.fence) object["fence"] = std::to_string(*holder.fence);
  return object.dump();
}

Facts decode(std::string_view text) {
  Facts facts;
  if (text.size() > kMostFacts) return facts;
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return facts;
  Holder& holder = facts.holder;
  holder.pid = number_of(object, "pid");
  holder.uid = number_of(object, "uid");
  holder.host = text_of(object, "host", 256);
  holder.program = text_of(object, "program", 256);
  holder.label = text_of(object, "label", 256);
  facts.name = text_of(object, "name", 1024);
  facts.ns = text_of(object, "ns", 1024);
  if (const auto since = number_of(object, "since")) holder.since = read_time(*since);
  if (const auto expiry = number_of(object, "expiry")) holder.expiry = read_time(*expiry);
  holder.fence = read_number(text_of(object, "fence", 20));
  return facts;
}

std::optional<std::uint64_t> read_number(std::string_view digits) {
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, value);
  if (digits.empty() || read.ec != std::errc{} || read.ptr != end) return std::nullopt;
  return value;
}

std::optional<std::chrono::system_clock::time_point> read_time(std::int64_t milliseconds) {
  // The clock of this library counts nanoseconds: until the year 2262, and what lies before 1970 is nobody's time.
  if (milliseconds <= 0 || milliseconds > INT64_MAX / 1'000'000) return std::nullopt;
  return std::chrono::system_clock::time_point{std::chrono::milliseconds{milliseconds}};
}

std::int64_t written(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

}  // namespace sherlock::addons
