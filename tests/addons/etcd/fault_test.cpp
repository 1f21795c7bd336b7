// SPDX-License-Identifier: MIT
// Servers that stop, die, forget, lose answers, are not there, or talk nonsense.
#include <sherlock/addons/etcd_lock.hpp>

#include <atomic>
#include <thread>

#include "addons/etcd/requests.hpp"
#include "addons/support/etcd_server.hpp"
#include "addons/support/failure_of.hpp"
#include "addons/support/fake_server.hpp"
#include "addons/support/keeps_time.hpp"
#include "addons/support/proxy.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::EtcdLock, sherlock::BackendException, sherlock::Errc;
using support::EtcdServer, support::failure_of, support::says;

namespace {

std::string loopback(int port) { return "http://127.0.0.1:" + std::to_string(port); }

std::string http(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("a server that is stopped past the lease: the holder knows before anybody is let in", "[process]") {
  REQUIRE_SERVER(EtcdServer);
  EtcdServer server;
  support::holder_knows_before_anybody_is_let_in<EtcdLock>(server);
}

TEST_CASE("a server that is stopped makes every verb throw in its time", "[process]") {
  REQUIRE_SERVER(EtcdServer);
  EtcdServer server;
  support::every_verb_throws_in_its_time<EtcdLock>(server, server.url());
}

TEST_CASE("a try that had no answer is taken back when its lock object ends", "[process]") {
  REQUIRE_SERVER(EtcdServer);
  EtcdServer server;
  CHECK(support::is_once([&](const std::string& name) {
    EtcdLock look{name, {}, server.url()};
    look.acquire();
    look.release();
    {
      EtcdLock doubtful{name, {.expire = sherlock::never, .timeout = 0s}, server.url()};
      server.stop();
      CHECK_THROWS_AS(doubtful.try_acquire(), BackendException);
      server.resume();
      // Nobody knows whether a server reads on after the other end has gone: this one may or may not have granted it.
      for (const auto end = std::chrono::steady_clock::now() + 500ms; !look.locked() && std::chrono::steady_clock::now() < end;) std::this_thread::sleep_for(5ms);
    }
    return !look.locked();
  }));
}

TEST_CASE("a server that was killed and comes back knows its holders", "[process]") {
  REQUIRE_SERVER(EtcdServer);
  EtcdServer server;
  EtcdLock holder{"x", {}, server.url()}, next{"x", {}, server.url()};
  holder.acquire();
  server.kill();
  const BackendException e = failure_of([&] { static_cast<void>(holder.renew()); });
  CHECK(e.code() == Errc::unavailable);
  CHECK_THAT(e.what(), says("lock 'x' (etcd): http://127.0.0.1:") && says("is the server running?"));
  CHECK(holder.held());  // it may come back
  server.start();
  CHECK(holder.renew());
  CHECK_FALSE(next.try_acquire());
  holder.release();
  CHECK(next.try_acquire());
}

TEST_CASE("a server that was killed and starts empty: the hold is lost", "[process]") {
  REQUIRE_SERVER(EtcdServer);
  EtcdServer server;
  EtcdLock holder{"x", {}, server.url()}, releases{"y", {}, server.url()}, next{"x", {}, server.url()};
  holder.acquire();
  releases.acquire();
  server.kill();
  server.start_empty();
  CHECK_FALSE(holder.renew());
  CHECK_FALSE(holder.held());
  CHECK_THROWS_AS(releases.release(), sherlock::LockLostException);
  CHECK(next.try_acquire());
  CHECK_THROWS_AS(holder.release(), sherlock::LockLostException);
  CHECK(next.renew());
}

TEST_CASE("a lost answer, whichever it is, is asked for again, and what was asked is done once", "[process]") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  support::Proxy proxy{server.port()};
  EtcdLock look{"x", {}, server.url()};
  for (const bool never : {false, true})
    for (int lost = 0; lost < (never ? 4 : 7); ++lost) {
      INFO("never: " << never << ", lost: " << lost);
      EtcdLock lock{"x", {.expire = never ? sherlock::Duration{sherlock::never} : sherlock::Duration{60s}, .timeout = 5s}, loopback(proxy.port())};
      proxy.lose_reply(lost + 1);
      lock.acquire();
      CHECK_FALSE(lock.abandoned());
      const auto fence = lock.fence();
      CHECK(lock.renew());
      CHECK(look.holder()->fence == fence);
      lock.release();
      CHECK_FALSE(look.locked());
      look.acquire();
      CHECK_FALSE(look.abandoned());
      CHECK(look.fence() > fence);
      look.release();
      CHECK(lock.try_acquire());
    }
  CHECK(proxy.lost() == 11);
}

TEST_CASE("hundreds of lost answers: never two holders, fences in order, and nobody is told that a hold was lost", "[process]") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  support::Proxy proxy{server.port()};
  std::atomic<int> inside{0}, overlaps{0}, disorders{0}, abandoned{0}, holds{0};
  std::atomic<std::uint64_t> last{0};
  std::vector<std::string> failures(3);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < failures.size(); ++i)
      threads.emplace_back([&, i](const std::stop_token& stop) {
        try {
          EtcdLock lock{"x", {.expire = i == 0 ? sherlock::Duration{sherlock::never} : sherlock::Duration{60s}, .timeout = 20s}, loopback(proxy.port())};
          while (!stop.stop_requested()) {
            lock.acquire();
            overlaps += ++inside != 1;
            disorders += last.exchange(lock.fence()) >= lock.fence();
            abandoned += lock.abandoned();
            ++holds;
            --inside;
            lock.release();
          }
        } catch (const std::exception& e) {
          failures[i] = e.what();
        }
      });
    // One after the other: three in a row, of one request, are an exception.
    const auto end = std::chrono::steady_clock::now() + 100s;
    for (int n = 0; proxy.lost() < 500 && std::chrono::steady_clock::now() < end; ++n) {
      const int before = proxy.lost();
      proxy.lose_reply(n % 11 + 4);
      while (proxy.lost() == before && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
    }
  }
  CHECK(proxy.lost() >= 20);  // five hundred, where the disk is quick
  CHECK(failures == std::vector<std::string>(3));
  CHECK(overlaps == 0);
  CHECK(disorders == 0);
  CHECK(abandoned == 0);
  CHECK(holds >= 20);
}

TEST_CASE("a wait survives that its ear is cut off") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  support::Proxy proxy{server.port()};
  EtcdLock holder{"x", {}, server.url()}, waiter{"x", {.timeout = 20s, .retry_interval = 50ms}, loopback(proxy.port())};
  holder.acquire();
  std::jthread waits{[&] { waiter.acquire(); }};
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(20ms);
    proxy.cut();
  }
  holder.release();
  waits.join();
  CHECK(waiter.held());
}

TEST_CASE("an address that swallows everything is an exception in time, and so is one where nobody listens") {
  support::no_server_is_an_exception_in_time<EtcdLock>(loopback);
}

TEST_CASE("whatever a stranger answers is an exception in time, and takes no more memory than it is worth") {
  const std::string header = R"("header":{"revision":"7"})", deep(100000, '[');
  for (const std::string& bytes :
       {std::string{"-ERR unknown command\r\n"}, http(""), http("null"), http("[]"), http("{}"), http("\"x\""), http("{" + header + "}"), http("{" + header + ",\"succeeded\":1}"),
        http("{" + header + ",\"succeeded\":true}"), http("{" + header + ",\"succeeded\":true,\"responses\":[]}"), http("{" + header + ",\"succeeded\":true,\"responses\":[1,2]}"),
        http("{" + header + ",\"responses\":[{\"response_range\":[]}]}"), http("{" + header + ",\"responses\":[{\"response_range\":{\"kvs\":[{\"key\":1}]}}]}"),
        http("{\"header\":{\"revision\":\"-7\"},\"ID\":\"1\",\"TTL\":\"99\"}"), http("{\"header\":{\"revision\":1e300},\"ID\":\"1\",\"TTL\":\"99\"}"), http(R"({"ID":"99999999999999999999","TTL":"99"})"),
        http(R"({"ID":"18446744073709551615","TTL":"99"})"), http(R"({"ID":"7","TTL":"1"})"), http(R"({"ID":7.5,"TTL":"99"})"), http(R"({"ID":"7","TTL":{}})"), http(deep), http("{\"header\":" + deep),
        http(R"({"error":"\u001b[2J","code":99999999999999999999})", "500 Oops"), http(R"({"error":{"message":[]}})"), http("{\"message\":\"" + std::string(100000, 'x') + "\"}", "503 No"),
        http("Not Found", "404 Not Found"), http("", "301 Moved\r\nLocation: http://127.0.0.1:1/"), std::string{"HTTP/1.1 200 OK\r\n\r\n{"}, std::string{"HTTP/1.1 204 No\r\n\r\n"},
        std::string{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"}, std::string{"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx"},
        std::string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}, std::string("\0\0\0\0", 4), "HTTP/1.1 200 OK\r\nX: " + std::string(300000, 'x'),
        "HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n" + std::string(9000000, 'x')}) {
    INFO(bytes.substr(0, 120));
    const support::FakeServer stranger = support::FakeServer::saying(bytes);
    EtcdLock lock{"x", {.timeout = 200ms, .retry_interval = 50ms}, loopback(stranger.port())}, forever{"x", {.expire = sherlock::never, .timeout = 200ms}, loopback(stranger.port())};
    for (const auto& ask : std::initializer_list<std::function<void()>>{[&] { static_cast<void>(lock.try_acquire()); }, [&] { static_cast<void>(forever.try_acquire()); }, [&] { lock.acquire(); }}) {
      const std::string said = failure_of(ask).what();
      CHECK(said.size() < 1000);
      CHECK(said.find('\x1b') == std::string::npos);
    }
    // Some of them would be an answer to a question.
    for (const auto& ask : std::initializer_list<std::function<void()>>{[&] { static_cast<void>(lock.locked()); }, [&] { static_cast<void>(lock.holder()); }}) {
      const auto before = std::chrono::steady_clock::now();
      try {
        ask();
      } catch (const BackendException&) {
      }
      CHECK(std::chrono::steady_clock::now() - before < 8s);
    }
  }
}

TEST_CASE("a page of a list that never ends is given up", "[process]") {
  const support::FakeServer stranger =
      support::FakeServer::saying(http(R"({"header":{"revision":"7"},"more":true,"kvs":[{"key":"c2hlcmxvY2sveC9vd25lcg==","mod_revision":"7","value":"eA=="}]})"));
  CHECK(failure_of([&] { EtcdLock::list(loopback(stranger.port())); }).code() == Errc::damaged);
}

TEST_CASE("a server that says one byte after the other is given up in time") {
  const support::FakeServer slow{[](int fd, const std::string& heard) {
    if (heard.empty()) return true;
    if (!support::FakeServer::say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")) return false;
    for (int i = 0; i < 500 && support::FakeServer::say(fd, "x"); ++i) std::this_thread::sleep_for(20ms);
    return false;
  }};
  EtcdLock lock{"x", {.timeout = 100ms}, loopback(slow.port())};
  const auto before = std::chrono::steady_clock::now();
  CHECK(failure_of([&] { static_cast<void>(lock.try_acquire()); }).code() == Errc::busy);
  CHECK(std::chrono::steady_clock::now() - before < 8s);
}
