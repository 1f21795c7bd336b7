// SPDX-License-Identifier: MIT
// As users have it: a library of its own, which the registry finds by name.
#include <sherlock/lock.hpp>
#include <sherlock/registry.hpp>

#include "addons/support/memcached_server.hpp"
#include "catch.hpp"

TEST_CASE("the registry finds memcached by name, and its locks are those of everybody else", "[process][plugin]") {
  REQUIRE_SERVER(support::MemcachedServer);
  const support::MemcachedServer server;
  sherlock::Registry registry;
  registry.add(sherlock::registry().find("memcached"));
  registry.configure({.backend = "memcached", .client = server.url()});
  sherlock::Lock lock{"x", {.label = "by name"}, registry}, other{"x", {}, registry};
  lock.acquire();
  CHECK_FALSE(other.try_acquire());
  CHECK(other.holder()->label == "by name");
  lock.release();
  // A memcached server cannot say what is in it.
  CHECK_FALSE(registry.find("memcached").can_list());
  CHECK_THROWS_AS(registry.find("memcached").list(server.url()), sherlock::ConfigurationException);
  CHECK_THROWS_AS(registry.find("memcached").clean(server.url()), sherlock::ConfigurationException);
}
