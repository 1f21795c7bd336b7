// SPDX-License-Identifier: MIT
#include <sherlock/addons/etcd_lock.hpp>
#include <sherlock/plugin.hpp>

SHERLOCK_PLUGIN(registry) {
  registry.add(sherlock::backend<sherlock::EtcdLock>({.name = "etcd", .library = "libcurl", .default_client = "http://localhost:2379"}));
}
