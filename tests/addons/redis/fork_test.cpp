// SPDX-License-Identifier: MIT
#include "addons/support/forks.hpp"

#include <sherlock/addons/redis_lock.hpp>

#include "addons/support/redis_server.hpp"
#include "catch.hpp"

using sherlock::RedisLock;
using support::RedisServer;

TEST_CASE("a forked child sends nothing on its parent's connections, and uses its own", "[process]") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server{RedisServer::On::port};
  support::forked_child_has_connections_of_its_own<RedisLock>(server.url(), server.port());
}

TEST_CASE("a child that was forked while threads lock, release and wait can do the same", "[process]") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  support::children_forked_among_threads_can_lock<RedisLock>(server.url());
}
