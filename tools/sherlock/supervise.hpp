// SPDX-License-Identifier: MIT
#pragma once

#include <sherlock/base_lock.hpp>
#include <sherlock/duration.hpp>
#include <sherlock/keeper.hpp>

#include "child.hpp"
#include "signals.hpp"

namespace sherlock::cli {

enum class OnLost { term, kill, warn };

struct Supervised {
  Ending ending;
  bool lost = false;  // before the command had ended
};

// Until the command ends: forwards signals, and does as `on_lost` says once the lock is gone. That is what `keeper` says of a lease; a hold without
// end, which has none (a thread would take as long to start as a command), is looked after every 5 s. A command that was told to end and has not
// done so after `kill_after` is killed.
Supervised supervise(Child& child, BaseLock& lock, const Keeper* keeper, const Signals& signals, OnLost on_lost, Duration kill_after);

}  // namespace sherlock::cli
