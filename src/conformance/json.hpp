// SPDX-License-Identifier: MIT
// The little JSON there is to write. ASCII only: a terminal may take the rest for commands, too.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sherlock::conformance {

inline std::string json_text(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      quoted += c;
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", byte < 0x80 ? static_cast<unsigned>(byte) : 0xfffdu);
      quoted += escaped;
    }
  }
  return quoted + '"';
}

// The values are JSON already.
inline std::string json_object(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string object;
  for (const auto& [name, value] : members) object += (object.empty() ? "" : ",") + json_text(name) + ":" + value;
  return "{" + object + "}";
}

// For a terminal.
inline std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return shown;
}

}  // namespace sherlock::conformance
