// SPDX-License-Identifier: MIT
#include <sherlock/addons/postgres_lock.hpp>

#include "addons/support/keeps_contract.hpp"
#include "addons/support/postgres_server.hpp"
#include "catch.hpp"

TEST_CASE("postgres keeps the contract", "[process][conformance]") {
  REQUIRE_SERVER(support::PostgresServer);
  const support::PostgresServer server;
  const auto verdicts = support::judge("postgres", server.url(), SHERLOCK_TEST_JUDGE);
  CHECK(support::broken(verdicts) == std::vector<int>{});
  CHECK(support::not_applicable(verdicts) == std::vector{19});  // it does not serve waiters in order
}
