// SPDX-License-Identifier: MIT
#include <sherlock/addons/redis_lock.hpp>
#include <sherlock/registry.hpp>

#include "addons/support/keeps_contract.hpp"
#include "addons/support/redis_server.hpp"
#include "catch.hpp"

TEST_CASE("redis keeps the contract", "[process]") {
  REQUIRE_SERVER(support::RedisServer);
  const support::RedisServer server;
  const std::string keys = GENERATE("", "keys=python");
  INFO(server.url(keys));
  // 15: it does not promise to serve waiters in order.
  CHECK(support::not_applicable(sherlock::backend<sherlock::RedisLock>({.name = "redis"}), server.url(keys), SHERLOCK_TEST_JUDGE) == std::vector{15});
}
