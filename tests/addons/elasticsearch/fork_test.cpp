// SPDX-License-Identifier: MIT
#include "addons/support/forks.hpp"

#include <sherlock/addons/elasticsearch_lock.hpp>

#include "addons/support/elasticsearch_server.hpp"
#include "catch.hpp"

using sherlock::ElasticsearchLock;
using support::ElasticsearchServer;

TEST_CASE("a forked child sends nothing on its parent's connections, and uses its own", "[process]") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  REQUIRE_FAKE(server);
  support::forked_child_has_connections_of_its_own<ElasticsearchLock>(server.url(), server.port(), std::chrono::milliseconds{10});
}

TEST_CASE("a child that was forked while threads lock, release and wait can do the same", "[process]") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  support::children_forked_among_threads_can_lock<ElasticsearchLock>(server.url());
}
