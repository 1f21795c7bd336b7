// SPDX-License-Identifier: MIT
// CHECK_THROWS_WITH(open(path), says(path) && says("hard link")): the text has these parts.
#pragma once

#include <string>

#include "catch.hpp"

namespace support {

inline auto says(const std::string& part) {
#if CATCH_VERSION_MAJOR >= 3
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Matchers::Contains(part);
#endif
}

}  // namespace support
