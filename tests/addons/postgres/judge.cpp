// SPDX-License-Identifier: MIT
// Plays the judge and its peers for the conformance test, with the add-on linked.
#include <sherlock/addons/postgres_lock.hpp>
#include <sherlock/conformance.hpp>
#include <sherlock/registry.hpp>

int main(int argc, char** argv) {
  sherlock::registry().add(sherlock::backend<sherlock::PostgresLock>({.name = "postgres", .library = "libpq"}));
  return sherlock::conformance::main(argc, argv);
}
