// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <sherlock/error.hpp>
#include <sherlock/file_lock.hpp>

#include "local/mode.hpp"

namespace sherlock {
namespace {

[[noreturn]] void refuse_directory(std::string_view text, std::string_view what) {
  throw ConfigurationException{fmt::format("client '{}': {}; it is DIRECTORY, with ?mode=0660 (octal) or ?remote=allow behind it", text, what), {}, "file"};
}

}  // namespace

FileClient::FileClient(std::string_view text) {
  const std::size_t question = text.find('?');
  directory = text.substr(0, question);
  if (directory.find('\0') != std::string::npos) refuse_directory(directory.c_str(), "a path holds no zero byte");
  if (question == std::string_view::npos) return;
  std::string_view rest = text.substr(question + 1);
  while (!rest.empty()) {
    const std::string_view option = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), option.size() + 1));
    if (option.starts_with("mode="))
      mode = local::parse_mode(option.substr(5), [&](std::string_view what) { refuse_directory(text, what); });
    else if (option == "remote=allow")
      allow_remote = true;
    else
      refuse_directory(text, fmt::format("'{}' is not understood", option));
  }
}

}  // namespace sherlock
