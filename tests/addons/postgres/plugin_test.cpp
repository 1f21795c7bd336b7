// SPDX-License-Identifier: MIT
// As users have it: a library of its own, which the registry finds by name.
#include <sherlock/lock.hpp>
#include <sherlock/registry.hpp>

#include "addons/support/postgres_server.hpp"
#include "catch.hpp"

TEST_CASE("the registry finds postgres by name, and its locks are those of everybody else", "[process][plugin]") {
  REQUIRE_SERVER(support::PostgresServer);
  const support::PostgresServer server;
  sherlock::Registry registry;
  registry.add(sherlock::registry().find("postgres"));
  registry.configure({.backend = "postgres", .client = server.url()});
  sherlock::Lock lock{"x", {.label = "by name"}, registry}, other{"x", {}, registry};
  lock.acquire();
  CHECK_FALSE(other.try_acquire());
  CHECK(other.holder()->label == "by name");
  CHECK(registry.find("postgres").list(server.url()).size() == 1);
  lock.release();
  CHECK(registry.find("postgres").clean(server.url()) == 1);
}
