// SPDX-License-Identifier: MIT
// What is peculiar to Redis. The contract itself is in conformance_test.cpp.
#include <sherlock/addons/redis_lock.hpp>

#include <algorithm>
#include <thread>

#include "addons/support/answered.hpp"
#include "addons/support/fake_server.hpp"
#include "addons/support/redis_server.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::RedisLock, sherlock::BackendException, sherlock::ConfigurationException;
using support::RedisServer, support::says;

namespace {

long number(const std::string& text) { return std::stol(text); }

std::string key_of(const RedisLock& lock) { return "sherlock:{" + lock.key() + "}"; }

}  // namespace

TEST_CASE("the server keeps a lease for a ninth longer than its holder, and no lease where none was asked") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock lease{"lease", {.expire = 9s}, server.url()}, forever{"forever", {.expire = sherlock::never}, server.url()};
  const auto left = [&](const RedisLock& lock) { return number(server.cli({"PTTL", key_of(lock)})); };
  for (const bool renews : {false, true}) {
    const auto before = std::chrono::steady_clock::now();
    if (renews)
      CHECK(lease.renew());
    else
      lease.acquire();
    const long ms = left(lease);
    const auto took = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before);
    CHECK((ms <= 10001 && ms + took.count() >= 9999));
  }
  forever.acquire();
  CHECK(left(forever) == -1);
  CHECK(forever.renew());
  CHECK(left(forever) == -1);
}

TEST_CASE("locks of one server share its connections") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  for (int i = 0; i < 20; ++i) {
    RedisLock one{"a" + std::to_string(i), {}, server.url()}, two{"b" + std::to_string(i), {}, server.url()};
    one.acquire();
    two.acquire();
  }
  std::string clients = server.cli({"CLIENT", "LIST"});
  CHECK(std::count(clients.begin(), clients.end(), '\n') == 1);  // ours, and redis-cli's
}

TEST_CASE("a waiter keeps no ear on a server when it waits no longer") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock holder{"x", {}, server.url()}, waiter{"x", {.retry_interval = 1h}, server.url()};
  const auto channels = [&] { return server.cli({"PUBSUB", "CHANNELS"}); };
  holder.acquire();
  CHECK_FALSE(waiter.try_acquire_for(50ms));
  CHECK(channels().empty());
  {
    std::jthread waits{[&] { waiter.acquire(); }};
    while (holder.holder()->waiting != 1u) std::this_thread::yield();
    CHECK(channels() == key_of(holder));
    holder.release();
  }
  CHECK(waiter.held());
  CHECK(channels().empty());
}

TEST_CASE("fences go on when the server has forgotten everything, and when it has forgotten its scripts") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock lock{"x", {}, server.url()};
  lock.acquire();
  const auto first = lock.fence();
  CHECK(first > 1'700'000'000'000'000'000u);
  lock.release();
  lock.acquire();
  CHECK(lock.fence() > first);
  const auto second = lock.fence();
  server.cli({"SCRIPT", "FLUSH"});
  CHECK(lock.renew());
  server.cli({"FLUSHALL"});
  CHECK_FALSE(lock.renew());
  lock.acquire();
  CHECK(lock.fence() > second);
  CHECK_FALSE(lock.abandoned());  // it is not known any more
}

TEST_CASE("fences go on where a server knows an older state than it did, and where its clock was set back, over every digit") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock lock{"x", {}, server.url()};
  const std::string past = key_of(lock) + ":past";
  const auto fence = [&] {
    lock.acquire();
    const auto granted = lock.fence();
    lock.release();
    return granted;
  };
  const auto knew = fence();
  fence();
  const auto forgot = fence();
  server.cli({"HSET", past, "fence", std::to_string(knew)});
  CHECK(fence() > forgot);

  for (const std::uint64_t ahead : {4'000'000'000'000'000'001u, 8'999'999'999'999'999'999u}) {
    server.cli({"HSET", past, "fence", std::to_string(ahead)});
    CHECK(fence() == ahead + 1);
    CHECK(fence() == ahead + 2);
  }
}

TEST_CASE("a key of a lock that is something else is damage, and says whose") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock lock{"x", {}, server.url()};
  server.cli({"LPUSH", key_of(lock), "a"});
  CHECK_THROWS_WITH(lock.try_acquire(), says("lock 'x' (redis): redis+unix://") && says("WRONGTYPE") && says("another program uses a key"));
  server.cli({"DEL", key_of(lock)});
  server.cli({"SET", key_of(lock) + ":past", "a"});
  CHECK_THROWS_AS(lock.try_acquire(), BackendException);
  CHECK_FALSE(lock.locked());  // nothing was taken
  server.cli({"DEL", key_of(lock) + ":past"});
  CHECK(lock.try_acquire());
}

TEST_CASE("a server without room is an exception; what is held can still be released") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock held{"held", {}, server.url()}, other{"other", {}, server.url()};
  held.acquire();
  server.cli({"CONFIG", "SET", "maxmemory", "1"});
  CHECK_THROWS_WITH(other.try_acquire(), says("its memory is full"));
  held.release();
  CHECK_FALSE(held.locked());
  server.cli({"CONFIG", "SET", "maxmemory", "0"});
  CHECK(other.try_acquire());
}

TEST_CASE("list names what was taken, clean forgets what was let go") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  const std::string keys = GENERATE("", "keys=python");
  const RedisLock::Client client{server.url(keys)};
  const std::string odd{"\xff\0", 2};
  RedisLock held{"held", {.ns = "shop", .label = "full dump"}, client}, gone{odd, {}, client}, brief{"abandoned", {.expire = 100ms}, client}, abandoned{"abandoned", {}, client};
  held.acquire();
  gone.acquire();
  gone.release();
  brief.acquire();
  while (abandoned.locked()) std::this_thread::sleep_for(1ms);

  auto list = RedisLock::list(client);
  std::ranges::sort(list, {}, &sherlock::LockInfo::name);
  REQUIRE(list.size() == 3);
  CHECK(list[0].name == "abandoned");
  CHECK(!list[0].holder);
  CHECK(list[1].name == "held");
  CHECK(list[1].ns == "shop");
  CHECK(list[1].holder->label == "full dump");
  CHECK(list[1].holder->fence == held.fence());
  CHECK(server.cli({"EXISTS", list[1].path}) == "1");
  CHECK(list[2].name == odd);

  CHECK(RedisLock::clean(client) == 1);
  CHECK(RedisLock::list(client).size() == 2);
  CHECK(held.renew());
  CHECK(abandoned.try_acquire());
  CHECK(abandoned.abandoned());
}

TEST_CASE("a database is a store of its own") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock zero{"x", {}, server.url()}, two{"x", {}, server.url("db=2")}, again{"x", {}, server.url("db=2")};
  zero.acquire();
  two.acquire();
  CHECK_FALSE(again.try_acquire());
  RedisLock none{"x", {}, server.url("db=99")};
  CHECK_THROWS_WITH(none.try_acquire(), says("DB index"));
}

TEST_CASE("what makes no sense in a URL is refused when it is configured, before any server is asked") {
  CHECK_THROWS_WITH(RedisLock::connect("rediss://me:hush@host"), says("TLS") && !says("hush"));
  CHECK_THROWS_WITH(RedisLock::connect("redis://host/x"), says("the database is a number"));
  CHECK_THROWS_WITH(RedisLock::connect("redis://host?keys=ruby"), says("keys=python"));
  CHECK_THROWS_WITH(RedisLock::connect("redis://host?tls=1"), says("no option tls"));
  CHECK_THROWS_AS(RedisLock::connect("host"), ConfigurationException);
  CHECK(RedisLock::Client{"redis://me:hush@host/1"}.text() == "redis://me:***@host/1");
}

TEST_CASE("users and passwords open the server, and are never shown") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server{RedisServer::On::port, {"--requirepass", "hush hush"}};
  server.cli({"--no-auth-warning", "-a", "hush hush", "ACL", "SETUSER", "locks", "on", ">very secret", "~sherlock:*", "&sherlock:*", "+@all", "-@dangerous"});
  const std::string at = "127.0.0.1:" + std::to_string(server.port());
  const support::TempDir directory;
  for (const std::string& url : {"redis://:hush%20hush@" + at, "redis://locks:very%20secret@" + at,
                                 "redis://locks@" + at + "?password_file=" + directory.write("secret", "very secret\n")}) {
    INFO(url);
    RedisLock lock{"x", {}, url}, waiter{"x", {}, url};
    lock.acquire();
    CHECK(lock.holder()->label == lock.label());
    CHECK_FALSE(waiter.try_acquire_for(20ms));
    lock.release();
  }
  for (const std::string& url : {"redis://" + at, "redis://:wrongpass1@" + at, "redis://locks:wrongpass1@" + at, "redis://nobody:wrongpass1@" + at}) {
    RedisLock lock{"x", {}, url};
    try {
      support::answered([&] { return lock.try_acquire(); });  // the server may take its time over a password
      FAIL("it was let in");
    } catch (const BackendException& e) {
      CHECK_THAT(e.what(), says("127.0.0.1") && says("password") && !says("wrongpass1"));
    }
  }
}

TEST_CASE("a server that repeats the password is not quoted with it") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server{RedisServer::On::port, {"--rename-command", "AUTH", ""}};
  const std::string password = GENERATE(as<std::string>{}, "hush1", "hush2" + std::string(200, 'x'));
  RedisLock lock{"x", {}, "redis://me:" + password + "@127.0.0.1:" + std::to_string(server.port())};
  CHECK_THROWS_WITH(lock.try_acquire(), says("unknown command") && !says("hush"));

  const support::FakeServer stranger = support::FakeServer::saying("-ERR no hush1hush1, but hush1\r\n");
  RedisLock other{"x", {}, "redis://me:hush1@127.0.0.1:" + std::to_string(stranger.port())};
  CHECK_THROWS_WITH(other.try_acquire(), says("no ******, but ***") && !says("hush"));
}

TEST_CASE("who may not listen polls, and still gets the lock") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server{RedisServer::On::port};
  server.cli({"ACL", "SETUSER", "deaf", "on", ">x", "~*", "resetchannels", "+@all"});
  const std::string url = "redis://deaf:x@127.0.0.1:" + std::to_string(server.port());
  RedisLock holder{"x", {}, url}, waiter{"x", {.retry_interval = 20ms}, url};
  holder.acquire();
  std::jthread releases{[&] { holder.release(); }};
  waiter.acquire();
  CHECK(waiter.held());
}
