// SPDX-License-Identifier: MIT
#include <sherlock/addons/postgres_lock.hpp>
#include <sherlock/plugin.hpp>

SHERLOCK_PLUGIN(registry) {
  registry.add(sherlock::backend<sherlock::PostgresLock>({.name = "postgres", .library = "libpq", .default_client = "postgresql://"}));
}
