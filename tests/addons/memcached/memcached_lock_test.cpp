// SPDX-License-Identifier: MIT
// What is peculiar to memcached. The contract itself is in conformance_test.cpp.
#include <sherlock/addons/memcached_lock.hpp>

#include <thread>

#include "addons/memcached/record.hpp"
#include "addons/support/answered.hpp"
#include "addons/support/memcached_server.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::MemcachedLock, sherlock::BackendException, sherlock::ConfigurationException;
using sherlock::addons::memcached::Record;
using support::MemcachedServer, support::says;

namespace {

std::string item_of(const MemcachedLock& lock) { return "sherlock:" + lock.key(); }

Record stranger(std::chrono::milliseconds ttl) {
  return {.owner = "00000000000000000000000000000001", .held = true, .fence = 41, .ttl = ttl, .since = 1, .note = R"({"label":"a stranger","name":"x"})"};
}

// Puts items of the size that the lock's has into the server, far more than there is room for.
void fill(const MemcachedServer& server, const MemcachedLock& lock) {
  const std::string value(server.get(item_of(lock)).size(), 'v'), key = item_of(lock);
  std::string requests;
  for (int i = 0; i < 40'000; ++i) {
    const std::string digits = std::to_string(i);
    requests += "set " + key.substr(0, key.size() - digits.size() - 1) + digits + "z 0 0 " + std::to_string(value.size()) + " noreply\r\n" + value + "\r\n";
  }
  server.say(requests + "version\r\n", "\r\n");
}

}  // namespace

TEST_CASE("a lock is an item that stays when the lock is released, and that the server forgets a minute after the lease") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server;
  MemcachedLock lease{"lease", {.expire = 9s}, server.url()}, forever{"forever", {.expire = sherlock::never}, server.url()}, month{"month", {.expire = 31 * 24h}, server.url()};
  lease.acquire();
  CHECK((server.left(item_of(lease)) >= 65 && server.left(item_of(lease)) <= 71));
  CHECK(lease.renew());
  lease.release();
  CHECK(server.left(item_of(lease)) > 6 * 24 * 3600);
  for (MemcachedLock* const lock : {&forever, &month}) {  // more than thirty days would be taken for a date, long ago
    lock->acquire();
    CHECK(server.left(item_of(*lock)) == -1);
    CHECK(lock->renew());
    CHECK(server.left(item_of(*lock)) == -1);
  }
}

TEST_CASE("a lease is over when it was watched, unchanged, for as long as it says; the next holder knows that it was abandoned") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server;
  MemcachedLock lock{"x", {.timeout = 20s}, server.url()};
  server.set(item_of(lock), encode(stranger(1h)));  // since 1970, its note says
  CHECK_FALSE(lock.try_acquire());
  CHECK(lock.holder()->label == "a stranger");
  CHECK(lock.holder()->fence == 41u);
  server.set(item_of(lock), encode(stranger(300ms)));
  const auto before = std::chrono::steady_clock::now();
  lock.acquire();
  CHECK(std::chrono::steady_clock::now() - before >= 300ms);
  CHECK(lock.abandoned());
  CHECK(lock.fence() == 42);
}

TEST_CASE("fences go on when the server has forgotten the lock; its holder is told, and the next one is left alone") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server;
  MemcachedLock lock{"x", {}, server.url()}, next{"x", {}, server.url()};
  lock.acquire();
  const auto first = lock.fence();
  CHECK(first > 1'700'000'000'000'000'000u);
  lock.release();
  lock.acquire();
  CHECK(lock.fence() == first + 1);
  server.say("flush_all\r\n", "\r\n");
  SECTION("renewed") { CHECK_FALSE(lock.renew()); }
  SECTION("released") { CHECK_THROWS_AS(lock.release(), sherlock::LockLostException); }
  SECTION("released, when somebody else has it") {
    next.acquire();
    CHECK(next.fence() > first + 1);
    CHECK_FALSE(next.abandoned());  // it is not known any more
    CHECK_THROWS_AS(lock.release(), sherlock::LockLostException);
    CHECK(next.renew());
    next.release();
  }
  lock.acquire();
  CHECK(lock.fence() > first + 1);
}

TEST_CASE("a lock that the server evicts is lost, and reported as lost", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server{MemcachedServer::On::socket, {"-m", "2"}};
  MemcachedLock lock{"x", {}, server.url()}, same_size{"y", {}, server.url()}, next{"x", {}, server.url()};
  lock.acquire();
  const auto fence = lock.fence();
  same_size.acquire();
  fill(server, same_size);
  REQUIRE(server.left(item_of(lock)) == -2);
  CHECK(lock.held());  // the documented case
  CHECK(next.try_acquire());
  CHECK(next.fence() > fence);
  CHECK_FALSE(lock.renew());
  CHECK_FALSE(lock.held());
  CHECK(next.renew());
}

TEST_CASE("a server that evicts nothing and is full is an exception", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server{MemcachedServer::On::socket, {"-m", "2", "-M"}};
  MemcachedLock held{"y", {}, server.url()}, lock{"x", {}, server.url()};
  held.acquire();
  fill(server, held);
  CHECK_THROWS_WITH(lock.try_acquire(), says("is its memory full?"));
  CHECK_FALSE(lock.locked());
  CHECK(held.locked());
}

TEST_CASE("an item that is none of ours, says nonsense, or is of another name is damage; nothing is taken") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server;
  MemcachedLock lock{"x", {}, server.url()};
  const std::string good = encode(stranger(300ms)), head = "sherlock1 00000000000000000000000000000001 ";
  Record other = stranger(1ms);
  other.note = R"({"name":"y"})";
  for (const std::string& value : {std::string{}, std::string{"x"}, "sherlock2" + good.substr(9), head, head + "1 0 -1 - 1 0 {}", head + "2 0 1 - 1 0 {}", head + "1 0 18446744073709551615 - 1 0 {}",
                                   head + "1 0 1 x 1 0 {}", head + "1 0 1 -5 1 0 {}", std::string{"\r\nEND\r\n"}, good + std::string(20'000, 'x'), std::string(100'000, 'x'), encode(other)}) {
    INFO(value.substr(0, 100));
    server.set(item_of(lock), value);
    CHECK_THROWS_WITH(lock.try_acquire(), says("lock 'x' (memcached): memcached+unix://"));
    CHECK_THROWS_AS(lock.locked(), BackendException);
    CHECK(server.get(item_of(lock)) == value);
  }
}

TEST_CASE("no name is a command: line breaks, blanks and a thousand bytes make a key that the server takes") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server;
  MemcachedLock bystander{"bystander", {}, server.url()};
  bystander.acquire();
  for (const std::string& name : {std::string{"x\r\nflush_all\r\n"}, std::string{"a b"}, std::string(1024, '\xff'), std::string{"\0", 1}}) {
    MemcachedLock lock{name, {.ns = name, .label = "\r\nflush_all\r\n"}, server.url()}, other{name, {.ns = name}, server.url()};
    CHECK(item_of(lock).size() <= 250);
    lock.acquire();
    CHECK(other.holder()->label == lock.label());
    CHECK_FALSE(other.try_acquire());
    lock.release();
  }
  CHECK(bystander.renew());
}

TEST_CASE("locks of one server share its connections, and leave nothing behind in /tmp") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server;
  for (int i = 0; i < 20; ++i) {
    MemcachedLock one{"a" + std::to_string(i), {}, server.url()}, two{"b" + std::to_string(i), {}, server.url()};
    one.acquire();
    two.acquire();
  }
  const std::string stats = server.say("stats\r\n", "END\r\n");
  const auto at = stats.find("STAT total_connections ");
  // The one that waited for the server's start, ours, and the one that asks; and memcached's own.
  CHECK(std::stol(stats.substr(at + 23)) <= 5);
}

TEST_CASE("what makes no sense in a URL is refused when it is configured, before any server is asked") {
  CHECK_THROWS_WITH(MemcachedLock::connect("memcached://me:hush@one,two"), says("a pool of several is no place for locks") && !says("hush"));
  CHECK_THROWS_AS(MemcachedLock::connect("memcached://host/x"), ConfigurationException);
  CHECK_THROWS_WITH(MemcachedLock::connect("memcached://me:hush@host?sasl=1"), says("there is no SASL") && !says("hush"));
  CHECK_THROWS_WITH(MemcachedLock::connect("memcached://host?tls=1"), says("no option tls"));
  CHECK_THROWS_WITH(MemcachedLock::connect("memcached://:hush@host"), says("belongs to a user") && !says("hush"));
  CHECK_THROWS_WITH(MemcachedLock::connect("memcached://me:hu%0d%0ash@host"), says("line break") && !says("hu\r"));
  CHECK_THROWS_WITH(MemcachedLock::connect("memcached://me:hu%20sh@host"), says("blank") && !says("hu sh"));
  CHECK_THROWS_AS(MemcachedLock::connect("host"), ConfigurationException);
  CHECK(MemcachedLock::Client{"memcached://me:hush@host:1"}.text() == "memcached://me:***@host:1");
}

TEST_CASE("a server that asks for no password is told none, and is refused where one was given") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server{MemcachedServer::On::port};
  MemcachedLock lock{"x", {}, "memcached://locks:verysecret@127.0.0.1:" + std::to_string(server.port())}, without{"x", {}, server.url()};
  CHECK_THROWS_WITH(lock.try_acquire(), says("it wants no password, and was told none") && !says("verysecret"));
  CHECK(server.say("stats\r\n", "END\r\n").find("STAT cmd_set 0\r\n") != std::string::npos);  // or anybody could read it
  CHECK(without.try_acquire());
}

TEST_CASE("user and password open the server, and are never shown") {
  REQUIRE_SERVER(MemcachedServer);
  const support::TempDir directory;
  const MemcachedServer server{MemcachedServer::On::port, {"-Y", directory.write("users", "locks:verysecret\n")}};
  const std::string at = "127.0.0.1:" + std::to_string(server.port());
  for (const std::string& url : {"memcached://locks:verysecret@" + at, "memcached://locks@" + at + "?password_file=" + directory.write("secret", "verysecret\n")}) {
    INFO(url);
    MemcachedLock lock{"x", {}, url}, other{"x", {}, url};
    lock.acquire();
    CHECK_FALSE(other.try_acquire());
    lock.release();
  }
  for (const std::string& url : {"memcached://" + at, "memcached://locks:wrongpass1@" + at, "memcached://nobody:wrongpass1@" + at}) {
    MemcachedLock lock{"x", {}, url};
    try {
      support::answered([&] { return lock.try_acquire(); });  // the server may take its time over a password
      FAIL("it was let in");
    } catch (const BackendException& e) {
      CHECK_THAT(e.what(), says("127.0.0.1") && says("password") && !says("wrongpass1"));
    }
  }
}
