// SPDX-License-Identifier: MIT
#include "addons/support/forks.hpp"

#include <sherlock/addons/memcached_lock.hpp>

#include "addons/support/memcached_server.hpp"
#include "catch.hpp"

using sherlock::MemcachedLock;
using support::MemcachedServer;

TEST_CASE("a forked child sends nothing on its parent's connections, and uses its own", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server{MemcachedServer::On::port};
  support::forked_child_has_connections_of_its_own<MemcachedLock>(server.url(), server.port(), std::chrono::milliseconds{10});
}

TEST_CASE("a child that was forked while threads lock, release and wait can do the same", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server{MemcachedServer::On::port};
  support::children_forked_among_threads_can_lock<MemcachedLock>(server.url());
}
