// SPDX-License-Identifier: MIT
// The backend of docs/examples/memory_lock.hpp as a plug-in.
#include <sherlock/plugin.hpp>

#include "../../docs/examples/memory_lock.hpp"

SHERLOCK_PLUGIN(registry) {
  registry.add(sherlock::backend<example::MemoryLock>({.name = "memory", .library = "std", .default_client = "default"}));
}
