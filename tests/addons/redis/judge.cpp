// SPDX-License-Identifier: MIT
// Plays the judge and its peers for the conformance test, with the add-on linked.
#include <sherlock/addons/redis_lock.hpp>
#include <sherlock/conformance.hpp>
#include <sherlock/registry.hpp>

int main(int argc, char** argv) {
  sherlock::registry().add(sherlock::backend<sherlock::RedisLock>({.name = "redis", .library = "hiredis"}));
  return sherlock::conformance::main(argc, argv);
}
