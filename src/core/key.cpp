// SPDX-License-Identifier: MIT
#include "core/key.hpp"

#include <algorithm>
#include <array>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/string_generator.hpp>

namespace sherlock::detail {
namespace {

constexpr std::size_t kReadable = 40;

// Lower case only: file systems that fold case must not make one lock of two.
constexpr char readable_form(unsigned char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') return static_cast<char>(c);
  return '_';
}

// Looked up: a program may make a hundred thousand locks when it starts.
constexpr auto kReadableForms = [] {
  std::array<char, 256> forms{};
  for (std::size_t c = 0; c < forms.size(); ++c) forms[c] = readable_form(static_cast<unsigned char>(c));
  return forms;
}();

const boost::uuids::uuid& key_namespace() {
  static const boost::uuids::uuid made = boost::uuids::string_generator{}(kKeyNamespace);
  return made;
}

// Made while the program is loaded: a fork in the middle of the first use would leave the child waiting for its end.
[[maybe_unused]] const boost::uuids::uuid& namespace_made_at_start = key_namespace();

}  // namespace

std::string make_key(std::string_view ns, std::string_view name) {
  boost::uuids::name_generator_sha1 generate{key_namespace()};

  // With the length in front, ("a", "b_c") and ("a_b", "c") cannot meet.
  std::string hashed;
  hashed.reserve(8 + ns.size() + name.size());
  hashed += std::to_string(ns.size());
  hashed += ':';
  hashed += ns;
  hashed += name;

  const std::size_t readable = std::min(name.size(), kReadable);
  std::string key(readable + 1 + 2 * boost::uuids::uuid::static_size(), '-');
  std::transform(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(readable), key.begin(),
                 [](char c) { return kReadableForms[static_cast<unsigned char>(c)]; });
  if (key.front() == '-' && readable != 0) key.front() = '_';  // no option of rm(1)
  char* digit = key.data() + readable + 1;
  for (const auto byte : generate(hashed.data(), hashed.size())) {
    constexpr char kDigits[] = "0123456789abcdef";
    *digit++ = kDigits[byte >> 4];
    *digit++ = kDigits[byte & 15];
  }
  return key;
}

}  // namespace sherlock::detail
