// SPDX-License-Identifier: MIT
#include "help.hpp"

#include <fmt/format.h>

#include <sherlock/version.hpp>

#include "output.hpp"

namespace sherlock::cli {

bool answered(const Common& common, std::string_view help) {
  if (common.help)
    print(help);
  else if (common.version)
    print(fmt::format("sherlock {}\n", version()));
  return common.help || common.version;
}

}  // namespace sherlock::cli
