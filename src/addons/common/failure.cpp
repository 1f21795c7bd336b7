// SPDX-License-Identifier: MIT
#include "addons/common/failure.hpp"

#include <fmt/core.h>

namespace sherlock::addons {

// Servers speak ASCII, users name things in UTF-8: every other byte of a sequence would need a decoder, so all above 0x7f are spelled out.
std::string printable(std::string_view text, std::size_t longest) {
  std::string shown;
  for (const char c : text.substr(0, longest)) {
    if (c >= 0x20 && c < 0x7f)
      shown += c;
    else
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return text.size() > longest ? shown + "..." : shown;
}

void throw_backend(const Failure& failure, std::string_view lock, std::string_view backend) {
  const std::string of = lock.empty() ? "" : fmt::format("lock '{}' ", printable(lock, 1024));
  throw BackendException{failure.code(), fmt::format("{}({}): {}", of, backend, failure.what()), lock, backend, failure.cause()};
}

}  // namespace sherlock::addons
