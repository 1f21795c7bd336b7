// SPDX-License-Identifier: MIT
#include "addons/support/forks.hpp"

#include <sherlock/addons/postgres_lock.hpp>

#include "addons/support/postgres_server.hpp"
#include "catch.hpp"

using sherlock::PostgresLock;
using support::PostgresServer;

TEST_CASE("a forked child sends nothing on its parent's connections, and uses its own", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server{PostgresServer::On::port};
  server.sql("CREATE ROLE locks LOGIN SUPERUSER PASSWORD 'x'");
  support::forked_child_has_connections_of_its_own<PostgresLock>(server.tcp_url("locks:x"), server.port());
}

TEST_CASE("a child that was forked while threads lock, release and wait can do the same", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  support::children_forked_among_threads_can_lock<PostgresLock>(server.url());
}
