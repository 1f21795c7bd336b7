// SPDX-License-Identifier: MIT
#include <sherlock/addons/redis_lock.hpp>

#include "addons/support/keeps_contract.hpp"
#include "addons/support/redis_server.hpp"
#include "catch.hpp"

TEST_CASE("redis keeps the contract", "[process][conformance]") {
  REQUIRE_SERVER(support::RedisServer);
  const support::RedisServer server;
  const auto verdicts = support::judge("redis", server.url(), SHERLOCK_TEST_JUDGE);
  CHECK(support::broken(verdicts) == std::vector<int>{});
  CHECK(support::not_applicable(verdicts) == std::vector{19});  // it does not serve waiters in order
}

TEST_CASE("redis with Python's keys keeps the contract, but for names that Python takes for one", "[process][conformance]") {
  REQUIRE_SERVER(support::RedisServer);
  const support::RedisServer server;
  const auto verdicts = support::judge("redis", server.url("keys=python"), SHERLOCK_TEST_JUDGE);
  CHECK(support::broken(verdicts) == std::vector{38});
  CHECK(support::not_applicable(verdicts) == std::vector{19});
}
