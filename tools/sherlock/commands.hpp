// SPDX-License-Identifier: MIT
// Each command reads its part of the line, does its work and answers with the exit code.
#pragma once

#include <optional>
#include <string>

#include "args.hpp"

namespace sherlock::cli {

int run(Args args, Common common);
int status(Args args, Common common);
int list(Args args, Common common);
int backends(Args args, Common common);
int clean(Args args, Common common);

// Which backend run() would use. Nothing where it would only tell about itself; throws UsageError where it would.
std::optional<std::string> backend_of_run(Args args, Common common);

}  // namespace sherlock::cli
