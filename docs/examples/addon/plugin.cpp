// SPDX-License-Identifier: MIT
#include <sherlock/plugin.hpp>

#include "record_lock.hpp"

SHERLOCK_PLUGIN(registry) {
  registry.add(sherlock::backend<record::RecordLock>({.name = "record", .library = "flock(2)"}));
}
