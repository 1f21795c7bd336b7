// SPDX-License-Identifier: MIT
// What our objects need of fmt's library, made from its headers: Debian has no static one, and a shared one brings libstdc++.so with it.
#define FMT_HEADER_ONLY
#include <fmt/format.h>

namespace {

// Functions of a header are made where somebody wants their address.
struct Wanted {
  std::string (*vformat)(fmt::string_view, fmt::format_args);
  bool (*is_printable)(std::uint32_t);
  std::locale (fmt::detail::locale_ref::*locale)() const;
  void (*assert_fail)(const char*, int, const char*);
  void (*throw_format_error)(const char*);
};
[[gnu::used]] const Wanted wanted{&fmt::vformat, &fmt::detail::is_printable, &fmt::detail::locale_ref::get<std::locale>,
                                  &fmt::detail::assert_fail, &fmt::detail::throw_format_error};

}  // namespace
