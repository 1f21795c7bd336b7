// SPDX-License-Identifier: MIT
// What a store calls a lock: of any two pairs of namespace and name, however alike, the keys differ; and a key is harmless as the name of a file.
//
// The input is two lengths and text. The pair that they make is compared with its nearest relatives, and with all pairs that were played before.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/key.hpp"
#include "fuzz.hpp"

namespace {

using Pair = std::pair<std::string, std::string>;  // namespace and name

[[noreturn]] void broken(const char* what, const Pair& a, const Pair& b) {
  std::fprintf(stderr, "BROKEN: %s: (%zu bytes, %zu bytes) and (%zu, %zu): '%.60s' '%.60s', '%.60s' '%.60s'\n", what, a.first.size(), a.second.size(),
               b.first.size(), b.second.size(), a.first.c_str(), a.second.c_str(), b.first.c_str(), b.second.c_str());
  std::abort();
}

std::string key_of(const Pair& pair) {
  const std::string key = sherlock::detail::make_key(pair.first, pair.second);
  const bool harmless = key.size() >= 33 && key.size() <= 80 && key.front() != '-' && key.front() != '.' &&
                        key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == key.npos;
  if (!harmless) broken("a key that is no harmless name of a file", pair, {key, ""});
  return key;
}

// As alike as two pairs can be.
std::vector<Pair> relatives(const Pair& pair) {
  const auto& [ns, name] = pair;
  std::vector<Pair> all{{name, ns}, {ns + name, ""}, {"", ns + name}, {ns, name + '\0'}, {ns, name + "_"}, {ns, name + ".lock"}, {ns, name + ".1"}, {ns, name + ".2"},
                        {ns + "_", name}, {ns, "_" + name}, {std::to_string(ns.size()) + ":" + ns, name}};
  const std::string joined = ns + "_" + name;
  for (std::size_t at = 0; at <= joined.size() && at < 40; ++at) {
    all.emplace_back(joined.substr(0, at), joined.substr(at));
    if (at < joined.size() && joined[at] == '_') all.emplace_back(joined.substr(0, at), joined.substr(at + 1));
  }
  if (const std::size_t dot = name.rfind('.'); dot != name.npos) all.emplace_back(ns, name.substr(0, dot));
  for (std::size_t at = 0; at < name.size() && at < 20; ++at) {
    Pair other = pair;
    other.second[at] = static_cast<char>(other.second[at] ^ 0x20);  // the other case of a letter
    all.push_back(other);
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::unordered_map<std::string, Pair> seen;
  if (size < 2) return 0;
  const std::string text{reinterpret_cast<const char*>(data) + 2, size - 2};
  const std::size_t ns_size = text.empty() ? 0 : data[0] % (text.size() + 1);
  const Pair pair{text.substr(0, ns_size), text.substr(ns_size)};
  std::vector<Pair> all = relatives(pair);
  all.push_back(pair);
  if (seen.size() > 500'000) seen.clear();
  for (const Pair& one : all) {
    if (one.second.empty()) continue;  // no name, and refused as that
    const auto [at, is_new] = seen.emplace(key_of(one), one);
    if (!is_new && at->second != one) broken("two names with one key", one, at->second);
  }
  return 0;
}
