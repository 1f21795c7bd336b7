// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cstdlib>

#include <sherlock/error.hpp>
#include <sherlock/registry.hpp>

#include "commands.hpp"
#include "help.hpp"
#include "json.hpp"
#include "output.hpp"

namespace sherlock::cli {

int clean(Args args, Common common) {
  args.read_all(common);
  if (answered(common, kCleanHelp)) return EXIT_SUCCESS;
  args.finish();
  if (common.ns) throw UsageError{"clean is for a whole store: -N has no meaning here"};

  const Backend backend = registry().find(common.backend);
  if (!backend.can_clean())
    throw BackendException{Errc::unavailable,
                           fmt::format("backend {} has nothing to clean: its store forgets locks by itself", backend.name())};
  const std::size_t removed = backend.clean(common.client);
  if (common.json)
    print(json_line({{"backend", backend.name()}, {"removed", removed}}));
  else if (!common.quiet)
    print(fmt::format("{} {} removed\n", removed, removed == 1 ? "lock" : "locks"));
  return EXIT_SUCCESS;
}

}  // namespace sherlock::cli
