// SPDX-License-Identifier: MIT
// Servers that stop, die, forget, are not there, or talk nonsense. Lost messages and random faults are in faults.cpp.
#include <sherlock/addons/memcached_lock.hpp>

#include <atomic>
#include <functional>
#include <thread>

#include "addons/support/failure_of.hpp"
#include "addons/support/fake_server.hpp"
#include "addons/support/keeps_time.hpp"
#include "addons/support/memcached_server.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::MemcachedLock, sherlock::BackendException, sherlock::Errc;
using support::MemcachedServer, support::failure_of, support::says;

namespace {

std::string loopback(int port) { return "memcached://127.0.0.1:" + std::to_string(port); }

}  // namespace

TEST_CASE("a server that is stopped past the lease: the holder knows before anybody is let in", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  MemcachedServer server;
  support::holder_knows_before_anybody_is_let_in<MemcachedLock>(server);
}

TEST_CASE("a server that is stopped makes every verb throw in its time", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  MemcachedServer server;
  support::every_verb_throws_in_its_time<MemcachedLock>(server, server.socket());
}

TEST_CASE("a try that had no answer is taken back when its lock object ends", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  MemcachedServer server;
  support::try_without_answer_is_taken_back<MemcachedLock>(server);
}

TEST_CASE("a server that was killed and starts empty: the hold is lost, and its next holder has a larger fence", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  MemcachedServer server{MemcachedServer::On::port};
  MemcachedLock holder{"x", {}, server.url()}, next{"x", {}, server.url()};
  holder.acquire();
  const auto fence = holder.fence();
  server.kill();
  const BackendException e = failure_of([&] { static_cast<void>(holder.renew()); });
  CHECK(e.code() == Errc::unavailable);
  CHECK_THAT(e.what(), says("lock 'x' (memcached): memcached://127.0.0.1:") && says("is the server running?"));
  CHECK(holder.held());  // it may come back
  server.start();
  CHECK(next.try_acquire());  // the documented case: two believe in it
  CHECK(next.fence() > fence);
  CHECK_FALSE(holder.renew());
  CHECK_FALSE(holder.held());
  CHECK_THROWS_AS(holder.release(), sherlock::LockLostException);
  CHECK(next.renew());
}

TEST_CASE("a new server counts its items from 1 again: what was seen of the old one's is not taken for the new one's", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  MemcachedServer server;
  MemcachedLock lock{"x", {}, server.url()}, other{"x", {}, server.url()};
  lock.acquire();
  server.kill();
  server.start();
  // In another process, which takes the lock with the same number.
  support::Child child{[&]() -> int {
    MemcachedLock theirs{"x", {.expire = sherlock::never}, server.url()};
    theirs.acquire();
    ::_exit(0);
  }};
  CHECK(child.wait() == support::Exit{0, 0});
  CHECK_FALSE(lock.renew());
  CHECK_FALSE(other.try_acquire());
}

TEST_CASE("an address that swallows everything is an exception in time, and so is one where nobody listens") {
  support::no_server_is_an_exception_in_time<MemcachedLock>(loopback);
}

TEST_CASE("whatever a stranger answers is an exception in time, and takes no more memory than it is worth") {
  MemcachedLock named{"x", {}, loopback(1)};
  const std::string value = "VALUE sherlock:" + named.key() + " 0 ";
  for (const std::string& bytes :
       {std::string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, std::string{"+OK\r\n"}, std::string{"\0\0\0\0", 4}, std::string{"END"}, std::string{"END\r\nEND\r\n"}, std::string{"STORED\r\nEND\r\n"},
        std::string{"ERROR\r\n"}, std::string{"SERVER_ERROR \x1b[2J\r\n"}, std::string{"CLIENT_ERROR no\r\n"}, std::string{"VALUE \r\n"}, std::string{"VALUE x 0 1 1\r\nx\r\nEND\r\n"},
        value + "-1 1\r\n", value + "2000000000 1\r\n", value + "99999999999999999999 1\r\n", value + "18446744073709551615 1\r\n", value + "3 1\r\nabc\r\nEND\r\n", value + "3 x\r\nabc\r\nEND\r\n",
        value + "3\r\nabc\r\nEND\r\n", value + "1 1\r\nabc\r\nEND\r\n", value + "3 1\r\nabcdefghijkl", std::string{"VALUE "} + std::string(300, 'k') + " 0 1 1\r\nx\r\nEND\r\n", std::string(100'000, 'x'),
        std::string(2'000'000, '\n')}) {
    INFO(bytes.substr(0, 100));
    const support::FakeServer stranger = support::FakeServer::saying(bytes);
    MemcachedLock lock{"x", {.timeout = 200ms, .retry_interval = 50ms}, loopback(stranger.port())};
    for (const auto& ask : std::initializer_list<std::function<void()>>{[&] { static_cast<void>(lock.try_acquire()); }, [&] { lock.acquire(); },
                                                                        [&] { static_cast<void>(lock.holder()); }}) {
      const std::string said = failure_of(ask).what();
      CHECK(said.size() < 1000);
      CHECK(said.find('\x1b') == std::string::npos);
    }
  }
}

TEST_CASE("a server that says one byte after the other is given up in time") {
  const support::FakeServer slow{[](int fd, const std::string& heard) {
    if (heard.empty()) return true;
    for (int i = 0; i < 500 && support::FakeServer::say(fd, i == 0 ? "V" : "A"); ++i) std::this_thread::sleep_for(20ms);
    return false;
  }};
  MemcachedLock lock{"x", {.timeout = 100ms}, loopback(slow.port())};
  const auto before = std::chrono::steady_clock::now();
  CHECK(failure_of([&] { static_cast<void>(lock.try_acquire()); }).code() == Errc::busy);
  CHECK(std::chrono::steady_clock::now() - before < 8s);
}
