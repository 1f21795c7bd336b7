// SPDX-License-Identifier: MIT
// What main() does, whichever commands it has.
#pragma once

#include <span>
#include <string_view>
#include <utility>

#include "args.hpp"

namespace sherlock::cli {

using Command = std::pair<std::string_view, int (*)(Args, Common)>;

// Reads the line up to the command and does it. What goes wrong is said on stderr; the exit code.
int program(int argc, char** argv, std::span<const Command> commands);

}  // namespace sherlock::cli
