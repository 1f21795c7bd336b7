// SPDX-License-Identifier: MIT
// As users have it: a library of its own, which the registry finds by name.
#include <sherlock/lock.hpp>
#include <sherlock/registry.hpp>

#include "addons/support/etcd_server.hpp"
#include "catch.hpp"
#include "support/says.hpp"

TEST_CASE("the registry finds etcd by name, and its locks are those of everybody else", "[process][plugin]") {
  REQUIRE_SERVER(support::EtcdServer);
  const support::EtcdServer server;
  sherlock::Registry registry;
  registry.add(sherlock::registry().find("etcd"));
  registry.configure({.backend = "etcd", .client = server.url()});
  sherlock::Lock lock{"x", {.label = "by name"}, registry}, other{"x", {}, registry};
  lock.acquire();
  CHECK_FALSE(other.try_acquire());
  CHECK(other.holder()->label == "by name");
  CHECK(registry.find("etcd").list(server.url()).size() == 1);
  lock.release();
  CHECK(registry.find("etcd").list(server.url()).empty());
}

TEST_CASE("a program moves from files to etcd by its configuration alone", "[process][plugin]") {
  REQUIRE_SERVER(support::EtcdServer);
  const support::EtcdServer server;
  const auto in_files = support::run({SHERLOCK_TEST_MOVING_TO_ETCD}), in_etcd = support::run({SHERLOCK_TEST_MOVING_TO_ETCD, server.url()});
  CHECK(in_files.code == 0);
  CHECK_THAT(in_files.out, support::says("file: 6 lines") && support::says("turned away"));
  CHECK(in_etcd.code == 0);
  CHECK_THAT(in_etcd.out, support::says("etcd: 6 lines") && support::says("turned away"));
  CHECK(server.ctl({"get", "--prefix", "--keys-only", "sherlock/"}).empty());  // both were released
}
