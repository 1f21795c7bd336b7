// SPDX-License-Identifier: MIT
// As users have it: a library of its own, which the registry finds by name.
#include <sherlock/lock.hpp>
#include <sherlock/registry.hpp>

#include "addons/support/elasticsearch_server.hpp"
#include "catch.hpp"

TEST_CASE("the registry finds elasticsearch by name, and its locks are those of everybody else", "[process][plugin]") {
  REQUIRE_SERVER(support::ElasticsearchServer);
  const support::ElasticsearchServer server;
  sherlock::Registry registry;
  registry.add(sherlock::registry().find("elasticsearch"));
  registry.configure({.backend = "elasticsearch", .client = server.url()});
  sherlock::Lock lock{"x", {.label = "by name"}, registry}, other{"x", {}, registry};
  lock.acquire();
  CHECK_FALSE(other.try_acquire());
  CHECK(other.holder()->label == "by name");
  CHECK(registry.find("elasticsearch").list(server.url()).size() == 1);
  lock.release();
  CHECK(registry.find("elasticsearch").clean(server.url()) == 1);
}
