// SPDX-License-Identifier: MIT
#pragma once

#include <sherlock/base_lock.hpp>

#include "signals.hpp"

namespace sherlock::cli {

// Acquires, within the lock's timeout, and says meanwhile on stderr who is in the way (unless `quiet`): nothing for half a second, then one
// line that is rewritten where stderr is a terminal, else a line at the start and whenever the holder changes.
// Returns the signal that came first, with the lock free again, or 0: held. Throws what acquire() throws.
int acquire_aloud(BaseLock& lock, const Signals& signals, bool quiet);

}  // namespace sherlock::cli
