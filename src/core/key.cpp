// SPDX-License-Identifier: MIT
#include "core/key.hpp"

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/string_generator.hpp>

namespace sherlock::detail {
namespace {

constexpr std::size_t kReadable = 40;

// Lower case only: file systems that fold case must not make one lock of two.
char readable(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') return c;
  return '_';
}

}  // namespace

std::string make_key(std::string_view ns, std::string_view name) {
  boost::uuids::name_generator_sha1 generate{boost::uuids::string_generator{}(kKeyNamespace)};

  // With the length in front, ("a", "b_c") and ("a_b", "c") cannot meet.
  std::string hashed = std::to_string(ns.size());
  hashed += ':';
  hashed += ns;
  hashed += name;

  std::string key;
  for (char c : name.substr(0, kReadable)) key += readable(c);
  if (!key.empty() && key.front() == '-') key.front() = '_';  // no option of rm(1)
  key += '-';
  for (const auto byte : generate(hashed.data(), hashed.size())) {
    constexpr char kDigits[] = "0123456789abcdef";
    key += kDigits[byte >> 4];
    key += kDigits[byte & 15];
  }
  return key;
}

}  // namespace sherlock::detail
