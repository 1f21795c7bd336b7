// SPDX-License-Identifier: MIT
#include <sherlock/addons/etcd_lock.hpp>

#include "addons/support/etcd_server.hpp"
#include "addons/support/keeps_contract.hpp"
#include "catch.hpp"

using namespace std::chrono_literals;

TEST_CASE("etcd keeps the contract", "[process][conformance]") {
  REQUIRE_SERVER(support::EtcdServer);
  const support::EtcdServer server;
  // It counts leases in whole seconds, two of them at least: this one it keeps for two.
  const auto verdicts = support::judge("etcd", server.url(), SHERLOCK_TEST_JUDGE, 1780ms);
  CHECK(support::broken(verdicts) == std::vector<int>{});
  CHECK(support::not_applicable(verdicts) == std::vector{19});  // it does not serve waiters in order
}
