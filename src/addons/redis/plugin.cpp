// SPDX-License-Identifier: MIT
#include <sherlock/addons/redis_lock.hpp>
#include <sherlock/plugin.hpp>

SHERLOCK_PLUGIN(registry) {
  registry.add(sherlock::backend<sherlock::RedisLock>({.name = "redis", .library = "hiredis", .default_client = "redis://localhost:6379"}));
}
