// SPDX-License-Identifier: MIT
#include <sherlock/addons/memcached_lock.hpp>
#include <sherlock/plugin.hpp>

SHERLOCK_PLUGIN(registry) {
  registry.add(sherlock::backend<sherlock::MemcachedLock>({.name = "memcached", .library = "libmemcached", .default_client = "memcached://localhost:11211"}));
}
