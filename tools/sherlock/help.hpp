// SPDX-License-Identifier: MIT
// What --help says. sherlock(1), made of docs/sherlock.1.scd, says more.
#pragma once

#include <string_view>

#include "args.hpp"

namespace sherlock::cli {

// Whether it was help or the version that was asked for; printed then.
bool answered(const Common& common, std::string_view help);

inline constexpr std::string_view kHelp =
    R"(Usage: sherlock [OPTION...] COMMAND ...

Locks between programs: take one for a command, see who has it and who waits.

  run LOCK COMMAND...  hold LOCK while COMMAND runs
  status LOCK          free or held: by whom, why, since when, who waits
  list [GLOB]          the locks of a store
  backends             the kinds of store, and what each promises
  clean                remove what nobody uses from a store

Options, before or after the command:
  -b, --backend NAME   kind of store (file)
  -C, --client WHERE   where the store is (default: the backend's own place)
  -N, --ns NS          namespace of the lock's name
      --json           results as one JSON object
      --color WHEN     auto, always or never
  -q, --quiet          results and errors only
      --help, --version

"sherlock COMMAND --help" tells the rest, and the exit codes are in sherlock(1).
)";

inline constexpr std::string_view kRunHelp =
    R"(Usage: sherlock run [OPTION...] LOCK [--] COMMAND [ARGUMENT...]
       sherlock run [OPTION...] LOCK -c STRING

Waits for LOCK, runs COMMAND, lets go when it ends, and exits as it did.

  -w, --timeout LENGTH        wait no longer than this (default: wait for ever)
  -n, --nonblock              do not wait
  -E, --conflict-exit-code N  exit code when the lock was not to be had (75)
  -c, --command STRING        run STRING by /bin/sh
  -l, --label TEXT            what others are told (default: the command line)
  -o, --close                 when sherlock is killed the lock is free, though
                              COMMAND may run on
      --expire LENGTH         a lease of this length, renewed while COMMAND runs
      --on-lost WHAT          when the lock is lost: term, kill or warn (term)
  -k, --kill-after LENGTH     then kill what does not heed term so long (5)
  -e, -x, --exclusive         accepted: every lock is

LENGTH is 5 or 0.5 (seconds), 250ms, 5m, 1h, 2d, never. COMMAND finds the lock's
name and fence in SHERLOCK_LOCK and SHERLOCK_FENCE.
Exit: as COMMAND; 75 not to be had, 76 lost, 126 and 127 COMMAND cannot be run;
the others are in sherlock(1).
)";

inline constexpr std::string_view kStatusHelp =
    R"(Usage: sherlock status [OPTION...] LOCK

Says whether LOCK is held: by whom, why, since when, until when, how many wait;
and where flock(1) and others find it.
Exit: 0 free, 75 held. With -q only that.
)";

inline constexpr std::string_view kListHelp =
    R"(Usage: sherlock list [OPTION...] [GLOB]

The locks of a store whose name matches GLOB (default: all), one a line.

      --held           only those that are held
)";

inline constexpr std::string_view kBackendsHelp =
    R"(Usage: sherlock backends [OPTION...]

The kinds of store there are, the server that each asks, and what it promises:
those of the library, and the plug-ins that are installed. Which plug-ins are
refused, and why.
)";

inline constexpr std::string_view kCleanHelp =
    R"(Usage: sherlock clean [OPTION...]

Removes from a store what nobody holds or waits for, and says how many locks it
was. Safe at any time.
)";

}  // namespace sherlock::cli
