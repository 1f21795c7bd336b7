// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <climits>

#include <sherlock/error.hpp>
#include <sherlock/shm_lock.hpp>

#include "local/mode.hpp"

namespace sherlock {
namespace {

[[noreturn]] void refuse_segment(std::string_view text, std::string_view what) {
  throw ConfigurationException{fmt::format("client '{}': {}; it is the name of a segment, with ?mode=0660 (octal) behind it where users share it", text, what), {},
                               "shm"};
}

}  // namespace

ShmClient::ShmClient(std::string_view text) {
  const std::size_t question = text.find('?');
  std::string_view name = text.substr(0, question);
  if (name.starts_with('/')) {
    name.remove_prefix(1);
    if (name.empty()) refuse_segment(text, "there is no name behind the slash");
  }
  if (name.find('\0') != std::string_view::npos) refuse_segment(std::string{name}.c_str(), "a name holds no zero byte");
  if (name.find('/') != std::string_view::npos) refuse_segment(text, "a segment is no path");
  if (name == "." || name == "..") refuse_segment(text, "that is a directory");
  if (name.size() > NAME_MAX) refuse_segment(text, fmt::format("{} bytes are more than the {} of a name", name.size(), NAME_MAX));
  segment = name;
  if (question == std::string_view::npos) return;
  const std::string_view option = text.substr(question + 1);
  if (!option.starts_with("mode=")) refuse_segment(text, fmt::format("'{}' is not understood", option));
  mode = local::parse_mode(option.substr(5), [&](std::string_view what) { refuse_segment(text, what); });
}

}  // namespace sherlock
