// SPDX-License-Identifier: MIT
#include "addons/common/failure.hpp"

#include <fmt/core.h>

namespace sherlock::addons {

namespace {

// The length of the UTF-8 sequence that `text` begins with, if it is one and no command of a terminal (below U+00A0); 0 otherwise. Overlong forms and surrogates
// are let through: a terminal makes nothing of them.
std::size_t harmless(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  const std::size_t length = lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  return lead == 0xc2 && byte(1) < 0xa0 ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text, std::size_t longest) {
  const bool whole = text.size() <= longest;
  text = text.substr(0, longest);
  std::string shown;
  while (!text.empty()) {
    const std::size_t length = harmless(text);
    if (length != 0)
      shown += text.substr(0, length);
    else
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
    text.remove_prefix(length != 0 ? length : 1);
  }
  return whole ? shown : shown + "...";
}

void throw_backend(const Failure& failure, std::string_view lock, std::string_view backend) {
  const std::string of = lock.empty() ? "" : fmt::format("lock '{}' ", printable(lock, 1024));
  throw BackendException{failure.code(), fmt::format("{}({}): {}", of, backend, failure.what()), lock, backend, failure.cause()};
}

}  // namespace sherlock::addons
