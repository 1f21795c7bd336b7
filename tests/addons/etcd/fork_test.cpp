// SPDX-License-Identifier: MIT
#include "addons/support/forks.hpp"

#include <sherlock/addons/etcd_lock.hpp>

#include "addons/support/etcd_server.hpp"
#include "catch.hpp"

using sherlock::EtcdLock;
using support::EtcdServer;

TEST_CASE("a forked child sends nothing on its parent's connections, and uses its own", "[process]") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  support::forked_child_has_connections_of_its_own<EtcdLock>(server.url(), server.port());
}

TEST_CASE("a child that was forked while threads lock, release and wait can do the same", "[process]") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  support::children_forked_among_threads_can_lock<EtcdLock>(server.url());
}
