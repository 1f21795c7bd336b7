// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <charconv>
#include <climits>

#include <sherlock/error.hpp>
#include <sherlock/shm_lock.hpp>

namespace sherlock {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view what) {
  throw ConfigurationException{fmt::format("client '{}': {}; it is the name of a segment, with ?mode=0660 (octal) behind it where users share it", text, what), {},
                               "shm"};
}

unsigned parse_mode(std::string_view text, std::string_view digits) {
  unsigned mode = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), mode, 8);
  if (error != std::errc{} || end != digits.data() + digits.size() || mode > 0777) refuse(text, fmt::format("'{}' is no mode", digits));
  if ((mode & 0600) != 0600 || (mode & 0111) != 0) refuse(text, fmt::format("mode {:04o} must let the owner read and write, and nobody execute", mode));
  return mode;
}

}  // namespace

ShmClient::ShmClient(std::string_view text) {
  const std::size_t question = text.find('?');
  std::string_view name = text.substr(0, question);
  if (name.starts_with('/')) {
    name.remove_prefix(1);
    if (name.empty()) refuse(text, "there is no name behind the slash");
  }
  if (name.find('\0') != std::string_view::npos) refuse(std::string{name}.c_str(), "a name holds no zero byte");
  if (name.find('/') != std::string_view::npos) refuse(text, "a segment is no path");
  if (name == "." || name == "..") refuse(text, "that is a directory");
  if (name.size() > NAME_MAX) refuse(text, fmt::format("{} bytes are more than the {} of a name", name.size(), NAME_MAX));
  segment = name;
  if (question == std::string_view::npos) return;
  const std::string_view option = text.substr(question + 1);
  if (!option.starts_with("mode=")) refuse(text, fmt::format("'{}' is not understood", option));
  mode = parse_mode(text, option.substr(5));
}

}  // namespace sherlock
