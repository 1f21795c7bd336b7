// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <charconv>

#include <sherlock/error.hpp>
#include <sherlock/file_lock.hpp>

namespace sherlock {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view what) {
  throw ConfigurationException{fmt::format("client '{}': {}; it is DIRECTORY, with ?mode=0660 (octal) or ?remote=allow behind it", text, what), {}, "file"};
}

unsigned parse_mode(std::string_view text, std::string_view digits) {
  unsigned mode = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), mode, 8);
  if (error != std::errc{} || end != digits.data() + digits.size() || mode > 0777) refuse(text, fmt::format("'{}' is no mode", digits));
  if ((mode & 0600) != 0600 || (mode & 0111) != 0) refuse(text, fmt::format("mode {:04o} must let the owner read and write, and nobody execute", mode));
  return mode;
}

}  // namespace

FileClient::FileClient(std::string_view text) {
  const std::size_t question = text.find('?');
  directory = text.substr(0, question);
  if (directory.find('\0') != std::string::npos) refuse(directory.c_str(), "a path holds no zero byte");
  if (question == std::string_view::npos) return;
  std::string_view rest = text.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view option = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), option.size() + 1));
    if (option.starts_with("mode="))
      mode = parse_mode(text, option.substr(5));
    else if (option == "remote=allow")
      allow_remote = true;
    else
      refuse(text, fmt::format("'{}' is not understood", option));
  }
}

}  // namespace sherlock
