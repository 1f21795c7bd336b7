// SPDX-License-Identifier: MIT
// Plays the judge and its peers for the conformance test, with the add-on linked.
#include <sherlock/addons/memcached_lock.hpp>
#include <sherlock/conformance.hpp>
#include <sherlock/registry.hpp>

int main(int argc, char** argv) {
  sherlock::registry().add(sherlock::backend<sherlock::MemcachedLock>({.name = "memcached", .library = "libmemcached"}));
  return sherlock::conformance::main(argc, argv);
}
