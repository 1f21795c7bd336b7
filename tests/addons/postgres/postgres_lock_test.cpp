// SPDX-License-Identifier: MIT
// What is peculiar to PostgreSQL. The contract itself is in conformance_test.cpp.
#include <sherlock/addons/postgres_lock.hpp>

#include <algorithm>
#include <atomic>
#include <thread>

#include "addons/support/answered.hpp"
#include "addons/support/postgres_server.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::PostgresLock, sherlock::BackendException, sherlock::ConfigurationException;
using support::PostgresServer, support::says;

namespace {

constexpr const char* kListening = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'";

}  // namespace

TEST_CASE("the server keeps a lease for a ninth longer than its holder, and no lease where none was asked") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  PostgresLock lease{"lease", {.expire = 9s}, server.url()}, forever{"forever", {.expire = sherlock::never}, server.url()};
  const auto left = [&](const PostgresLock& lock) {
    return server.sql("SELECT CASE WHEN isfinite(expires) THEN (extract(epoch FROM expires - now()) * 1000)::bigint::text ELSE 'never' END FROM sherlock_locks WHERE key = '" +
                      lock.key() + "'");
  };
  for (const bool renews : {false, true}) {
    const auto before = std::chrono::steady_clock::now();
    if (renews)
      CHECK(lease.renew());
    else
      lease.acquire();
    const long ms = std::stol(left(lease));
    const auto took = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before);
    CHECK((ms <= 10001 && ms + took.count() >= 9999));
  }
  forever.acquire();
  CHECK(left(forever) == "never");
  CHECK(forever.renew());
  CHECK(left(forever) == "never");
}

TEST_CASE("locks of one server share its connections") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  for (int i = 0; i < 20; ++i) {
    PostgresLock one{"a" + std::to_string(i), {}, server.url()}, two{"b" + std::to_string(i), {}, server.url()};
    one.acquire();
    two.acquire();
  }
  CHECK(server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sherlock'") == "1");
}

TEST_CASE("a waiter is counted while it waits, and keeps no ear on a server when it waits no longer") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  PostgresLock holder{"x", {}, server.url()}, waiter{"x", {.timeout = 20s, .retry_interval = 1h}, server.url()};
  const auto nobody_listens = [&] {
    for (const auto end = std::chrono::steady_clock::now() + support::kPatience; std::chrono::steady_clock::now() < end;)
      if (server.sql(kListening) == "0") return true;
    return false;
  };
  holder.acquire();
  CHECK_FALSE(waiter.try_acquire_for(50ms));
  CHECK(nobody_listens());
  for (int round = 0; round < 3; ++round) {
    std::jthread waits{[&] { waiter.acquire(); }};
    while (holder.holder()->waiting != 1u) std::this_thread::yield();
    holder.release();
    waits.join();
    CHECK(waiter.held());
    CHECK(nobody_listens());
    waiter.release();
    holder.acquire();
  }
}

TEST_CASE("no release is missed by those who wait, however many come and go", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  std::atomic<int> holders{0}, wrong{0}, failed{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      PostgresLock lock{"x", {.timeout = 60s, .retry_interval = 1h}, server.url()};
      for (int round = 0; round < 100; ++round) try {
          lock.acquire();
          if (++holders != 1) ++wrong;
          --holders;
          lock.release();
        } catch (const sherlock::LockException&) {
          ++failed;
        }
    });
  threads.clear();
  CHECK(wrong == 0);
  CHECK(failed == 0);
}

TEST_CASE("a waiter that is told of a release needs no connection but the one on which it was told") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server{PostgresServer::On::port};
  server.sql("CREATE ROLE waiter LOGIN SUPERUSER PASSWORD 'x'");
  PostgresLock holder{"x", {}, server.url()}, waiter{"x", {.timeout = 20s, .retry_interval = 1h}, server.tcp_url("waiter:x")};
  holder.acquire();
  const auto fence = holder.fence();
  std::jthread waits{[&] { waiter.acquire(); }};
  // It waits once it has been refused after it began to listen.
  const std::string others = " FROM pg_stat_activity WHERE usename = 'waiter' AND state = 'idle' AND query LIKE '%ON CONFLICT%' AND query_start > "
                             "(SELECT max(query_start) FROM pg_stat_activity WHERE usename = 'waiter' AND query NOT LIKE '%ON CONFLICT%')";
  while (server.sql("SELECT count(*)" + others) != "1") std::this_thread::yield();
  server.sql("ALTER ROLE waiter NOLOGIN");
  CHECK(server.sql("SELECT pg_terminate_backend(pid, 5000)" + others) == "t");
  holder.release();
  waits.join();
  CHECK(waiter.held());
  CHECK(waiter.fence() > fence);
  CHECK_FALSE(waiter.abandoned());
  server.sql("ALTER ROLE waiter LOGIN");
  CHECK(waiter.renew());
  waiter.release();
}

TEST_CASE("a waiter that was told of a release and came too late knows when the new lease ends") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  PostgresLock holder{"x", {}, server.url()};
  holder.acquire();
  const sherlock::Options options{.expire = 300ms, .timeout = 20s, .retry_interval = 1h};
  PostgresLock one{"x", options, server.url()}, two{"x", options, server.url()};
  std::atomic<int> granted{0};
  std::jthread first{[&] { granted += one.try_acquire_for(20s); }}, second{[&] { granted += two.try_acquire_for(20s); }};
  while (holder.holder()->waiting != 2u) std::this_thread::yield();
  holder.release();
  first.join();
  second.join();
  CHECK(granted == 2);  // nobody released in between
}

TEST_CASE("fences go on when rows are removed, and when the table is") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  PostgresLock lock{"x", {}, server.url()};
  lock.acquire();
  const auto first = lock.fence();
  CHECK(first > 1'700'000'000'000'000'000u);
  lock.release();
  lock.acquire();
  const auto second = lock.fence();
  CHECK(second > first);
  CHECK(lock.renew());
  server.sql("DROP TABLE sherlock_locks");
  CHECK_FALSE(lock.renew());
  lock.acquire();
  CHECK(lock.fence() > second);
  CHECK_FALSE(lock.abandoned());  // it is not known any more
  const auto last = lock.fence();
  lock.release();
  CHECK(PostgresLock::clean(server.url()) == 1);
  lock.acquire();
  CHECK(lock.fence() > last);
}

TEST_CASE("fences go on when the table comes back as it was earlier, and when the clock went back, for whoever asks and whoever is told of a release") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  PostgresLock lock{"x", {.expire = sherlock::never}, server.url()}, waiter{"x", {.timeout = 20s, .retry_interval = 1h}, server.url()};
  // The next fence that is granted after the row was put back to `row`.
  const auto asks = [&](const std::string& row) {
    server.sql("UPDATE sherlock_locks SET " + row);
    REQUIRE(waiter.try_acquire());
    const auto fence = waiter.fence();
    waiter.release();
    return fence;
  };
  const auto is_told = [&](const std::string& row) {
    lock.acquire();
    std::jthread waits{[&] { waiter.acquire(); }};
    while (lock.holder()->waiting != 1u) std::this_thread::yield();
    server.sql("UPDATE sherlock_locks SET " + row);
    lock.release();
    waits.join();
    const auto fence = waiter.fence();
    waiter.release();
    return fence;
  };
  lock.acquire();
  const auto first = std::to_string(lock.fence());
  lock.release();
  std::uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    const auto asked = asks("released = true, fence = " + first), told = is_told("fence = " + first);
    CHECK(asked > last);
    CHECK(told > asked);
    last = told;
  }
  CHECK(asks("fence = 8000000000000000000") == 8000000000000000001u);
  CHECK(is_told("fence = 8000000000000000000") == 8000000000000000001u);
}

TEST_CASE("the table is made once, however many processes find it missing") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  for (int round = 0; round < 5; ++round) {
    std::vector<support::Child> all;
    for (int i = 0; i < 8; ++i)
      all.emplace_back([&, i] {
        PostgresLock lock{"x" + std::to_string(i), {.timeout = 10s}, server.url()};
        lock.acquire();
        return 0;
      });
    for (auto& child : all) CHECK(child.wait() == support::Exit{0, 0});
    server.sql("DROP TABLE sherlock_locks");
  }
}

TEST_CASE("a table that is something else is damage, and says so; another one is a store of its own") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  server.sql("CREATE TABLE mine(key text, fence int)");
  PostgresLock lock{"x", {}, server.url("table=mine")};
  CHECK_THROWS_WITH(lock.try_acquire(), says("lock 'x' (postgres): postgresql://") && says("not one of ours"));
  server.sql("CREATE SCHEMA shop");
  PostgresLock one{"x", {}, server.url("table=shop.locks")}, two{"x", {}, server.url()}, again{"x", {}, server.url("table=shop.locks")};
  one.acquire();
  two.acquire();
  CHECK_FALSE(again.try_acquire());
  CHECK(server.sql("SELECT count(*) FROM shop.locks") == "1");
  PostgresLock nowhere{"x", {}, server.url("table=nowhere.locks")};
  CHECK_THROWS_WITH(nowhere.try_acquire(), says("create the schema"));
}

TEST_CASE("list names what was taken, clean forgets what was let go") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  const PostgresLock::Client client{server.url()};
  const std::string odd{"\xff\0\r\n'; DROP TABLE sherlock_locks; --", 35};
  PostgresLock held{"held", {.ns = "shop", .label = "full dump"}, client}, gone{odd, {}, client}, brief{"abandoned", {.expire = 100ms}, client}, abandoned{"abandoned", {}, client};
  held.acquire();
  gone.acquire();
  gone.release();
  brief.acquire();
  while (abandoned.locked()) std::this_thread::sleep_for(1ms);

  auto list = PostgresLock::list(client);
  std::ranges::sort(list, {}, &sherlock::LockInfo::name);
  REQUIRE(list.size() == 3);
  CHECK(list[0].name == "abandoned");
  CHECK(!list[0].holder);
  CHECK(list[1].name == "held");
  CHECK(list[1].ns == "shop");
  CHECK(list[1].holder->label == "full dump");
  CHECK(list[1].holder->fence == held.fence());
  CHECK(list[2].name == odd);

  CHECK(PostgresLock::clean(client) == 1);
  CHECK(PostgresLock::list(client).size() == 2);
  CHECK(held.renew());
  CHECK(abandoned.try_acquire());
  CHECK(abandoned.abandoned());
}

TEST_CASE("what makes no sense in a URL is refused when it is configured, before any server is asked") {
  CHECK_THROWS_WITH(PostgresLock::connect("mysql://me:hush@host"), says("postgresql://") && !says("hush"));
  CHECK_THROWS_WITH(PostgresLock::connect("postgresql://me:hush%zz@host"), says("%XX") && !says("hush"));
  CHECK_THROWS_WITH(PostgresLock::connect("postgresql://me:hush@host/db?tabel=x"), says("an option that it does not know") && !says("hush"));
  CHECK_THROWS_WITH(PostgresLock::connect("postgresql://me:hush@host/db?table=x'y"), says("small letters") && !says("hush"));
  CHECK_THROWS_AS(PostgresLock::connect("host"), ConfigurationException);
  CHECK_THROWS_AS(PostgresLock::connect(""), ConfigurationException);
  CHECK(PostgresLock::Client{"postgresql://me:hu?table=sh@host?table=x"}.text() == "postgresql://me:***@host");
  CHECK(PostgresLock::Client{"postgresql://me:hush@host:77/db?sslmode=require&table=a.b&connect_timeout=3"}.text() == "postgresql://me:***@host:77/db");
  CHECK(PostgresLock::Client{"postgresql://me@host?table=a&password=hush"}.text() == "postgresql://me:***@host");
}

TEST_CASE("a password with a letter that wants %XX is refused when it is configured, and no part of it is shown") {
  // Of which libpq would make a host or a database of that name.
  for (const char* url : {"postgresql://bob:hunter/2secret@h/db", "postgresql://bob:hunter@2secret@h/db", "postgresql://bob:hunter@/2secret@h",
                          "postgresql://bob:hunter@h/2secret@h", "postgresql://bob:1/2secret@h/db?table=x", "postgresql://bob:hunter/2secret@h?user=x@y",
                          "postgresql://bob:hunter/2secret", "postgres://bob:hunter?application_name=2secret", "postgresql://bob:1/?table=2secret@h",
                          "postgresql://bob:hunter#/2secret@h", "postgresql://hunter/2secret@h", "postgresql://bob:x@h,hunter@2secret"}) {
    INFO(url);
    CHECK_THROWS_WITH(PostgresLock::connect(url), (says("%XX") || says("small letters")) && !says("hunter") && !says("2secret"));
  }
  CHECK_THROWS_WITH(PostgresLock::connect("postgresql://bob:hunter/2@h"), says("'/', '?', '#' and '@' in a password are written %2F, %3F, %23 and %40"));
  for (const char* url : {"postgresql://bob:hunter%2F2%40%3f%23secret@h:1,i:2/db", "postgresql://bob:hunter#2?table=secret@h:1,i:2/db?options=a@b/c@d",
                          "postgresql://bob@h:1,i:2/db?password=hunter@/2secret@h"})
    CHECK(PostgresLock::Client{url}.text() == "postgresql://bob:***@h,i:1,2/db");
  CHECK(PostgresLock::Client{"postgresql:///db?host=@abstract&user=a@b"}.text() == "postgresql://a@b@@abstract/db");
  CHECK(PostgresLock::Client{"postgresql://%2Frun%2Fa%40b/db"}.text() == "postgresql:///run/a@b/db");
}

TEST_CASE("users and passwords open the server, and are never shown") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server{PostgresServer::On::port};
  server.sql("CREATE ROLE locks LOGIN PASSWORD 'very secret'");
  PostgresLock made{"made", {}, server.url()};
  made.acquire();  // the table
  const auto refused = [&](const std::string& who) {
    PostgresLock lock{"x", {}, server.tcp_url(who)};
    try {
      support::answered([&] { return lock.try_acquire(); });
    } catch (const BackendException& e) {
      CHECK_THAT(e.what(), says("127.0.0.1") && !says("wrongpass1") && !says("very secret"));
      return std::string{e.what()};
    }
    return std::string{};
  };
  CHECK_THAT(refused("locks"), says("password"));
  CHECK_THAT(refused("locks:wrongpass1"), says("password"));
  CHECK_THAT(refused("nobody:wrongpass1"), says("password"));
  CHECK_THAT(refused("locks:very%20secret"), says("permission denied") && says("docs/addons/postgres.md"));
  server.sql("GRANT SELECT, INSERT, UPDATE ON sherlock_locks TO locks");
  PostgresLock lock{"x", {}, server.tcp_url("locks:very%20secret")}, waiter{"x", {}, server.tcp_url("locks:very%20secret")};
  lock.acquire();
  CHECK(lock.holder()->label == lock.label());
  CHECK_FALSE(waiter.try_acquire_for(20ms));
  lock.release();
}

TEST_CASE("a server with TLS is trusted when its certificate is, and only then") {
  REQUIRE_SERVER(PostgresServer);
  if (!support::installed("openssl")) {
    std::printf("skipped: openssl is not installed (tools/setup does it)\n");
    return;
  }
  const PostgresServer server{PostgresServer::On::tls};
  server.sql("CREATE ROLE locks LOGIN SUPERUSER PASSWORD 'x'");
  const auto url = [&](const std::string& host, const std::string& trusted) {
    return "postgresql://locks:x@" + host + ":" + std::to_string(server.port()) + "/postgres?sslmode=verify-full&sslrootcert=" + trusted;
  };
  const std::string trusting = url("localhost", server.certificate());
  PostgresLock lock{"x", {}, trusting}, waiter{"x", {.timeout = 20s, .retry_interval = 1h}, trusting};
  lock.acquire();
  CHECK(server.sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sherlock'") == "t");
  std::jthread waits{[&] { waiter.acquire(); }};
  while (lock.holder()->waiting != 1u) std::this_thread::yield();
  lock.release();
  waits.join();
  CHECK(waiter.held());
  PostgresLock elsewhere{"x", {}, url("127.0.0.1", server.certificate())}, stranger{"x", {}, url("localhost", "/etc/ssl/certs/ca-certificates.crt")};
  CHECK_THROWS_WITH(elsewhere.try_acquire(), says("certificate") && says("127.0.0.1"));
  CHECK_THROWS_WITH(stranger.try_acquire(), says("certif"));
}

TEST_CASE("a server that takes no writes says so") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  PostgresLock lock{"x", {}, server.url()};
  lock.acquire();
  lock.release();
  server.sql("ALTER DATABASE postgres SET default_transaction_read_only = on");
  PostgresLock late{"x", {}, server.url("application_name=late")};
  CHECK_THROWS_WITH(late.try_acquire(), says("it takes no writes") && says("primary"));
}

TEST_CASE("a database of another encoding, and a server that is serializable by default, keep locks as well") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server{PostgresServer::On::socket, {"-c", "default_transaction_isolation=serializable"}};
  server.sql("CREATE DATABASE old ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
  std::string url = server.url();
  url.replace(url.find("/postgres?"), 10, "/old?");
  PostgresLock lock{"x", {.label = "\xe2\x82\xac\xff"}, url};
  lock.acquire();
  CHECK(lock.holder()->label == "\xe2\x82\xac\xff");
  lock.release();
}
