// SPDX-License-Identifier: MIT
#include <sherlock/addons/elasticsearch_lock.hpp>

#include "addons/support/elasticsearch_server.hpp"
#include "addons/support/keeps_contract.hpp"
#include "catch.hpp"

TEST_CASE("elasticsearch keeps the contract", "[process][conformance]") {
  REQUIRE_SERVER(support::ElasticsearchServer);
  const support::ElasticsearchServer server;
  const auto verdicts = support::judge("elasticsearch", server.url(), SHERLOCK_TEST_JUDGE);
  CHECK(support::broken(verdicts) == std::vector<int>{});
  CHECK(support::not_applicable(verdicts) == std::vector{15, 19});  // it wakes nobody, and does not serve waiters in order
}
