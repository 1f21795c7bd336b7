// SPDX-License-Identifier: MIT
#include <sherlock/addons/memcached_lock.hpp>

#include "addons/support/keeps_contract.hpp"
#include "addons/support/memcached_server.hpp"
#include "catch.hpp"

TEST_CASE("memcached keeps the contract", "[process][conformance]") {
  REQUIRE_SERVER(support::MemcachedServer);
  const support::MemcachedServer server;
  const auto verdicts = support::judge("memcached", server.url(), SHERLOCK_TEST_JUDGE);
  CHECK(support::broken(verdicts) == std::vector<int>{});
  CHECK(support::not_applicable(verdicts) == std::vector{15, 19});  // it wakes nobody, and does not serve waiters in order
}
