// SPDX-License-Identifier: MIT
// Servers that stop, die, forget, cut connections, lose answers, are not there, or talk nonsense.
#include <sherlock/addons/elasticsearch_lock.hpp>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "addons/support/elasticsearch_server.hpp"
#include "addons/support/failure_of.hpp"
#include "addons/support/fake_server.hpp"
#include "addons/support/keeps_time.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::ElasticsearchLock, sherlock::BackendException, sherlock::Errc;
using support::ElasticsearchServer, support::failure_of, support::says;

namespace {

std::string loopback(int port) { return "http://127.0.0.1:" + std::to_string(port) + "/x"; }

}  // namespace

TEST_CASE("whichever message is lost, what was asked is done once") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  REQUIRE_FAKE(server);
  for (const char* fault : {"lose", "half", "cut"})
    for (int nth = 0; nth < 9; ++nth) {
      INFO(fault << ' ' << nth);
      ElasticsearchLock lock{fault + std::to_string(nth), {.expire = 20s}, server.url()}, other{fault + std::to_string(nth), {}, server.url()};
      server.plan({{"do", fault}, {"skip", nth}});
      lock.acquire();
      const auto fence = lock.fence();
      CHECK(!lock.abandoned());
      CHECK_FALSE(other.try_acquire());
      CHECK(lock.renew());
      lock.release();
      CHECK_FALSE(lock.locked());
      other.acquire();
      CHECK(!other.abandoned());
      CHECK(other.fence() > fence);
      CHECK_FALSE(lock.try_acquire());
      other.release();
      server.forget_plans();
    }
}

TEST_CASE("a server that loses every answer is an exception, and the lock is had when it talks again") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  REQUIRE_FAKE(server);
  ElasticsearchLock lock{"x", {}, server.url()}, other{"x", {}, server.url()};
  server.plan({{"do", "lose"}, {"times", 1000}});
  CHECK(failure_of([&] { static_cast<void>(lock.try_acquire()); }).code() == Errc::unavailable);
  server.forget_plans();
  server.plan({{"do", "lose"}, {"times", 1000}, {"method", "PUT"}});
  CHECK(failure_of([&] { static_cast<void>(lock.try_acquire()); }).code() == Errc::unavailable);
  server.forget_plans();
  CHECK(other.locked());  // it was granted, and nobody knew
  CHECK_FALSE(other.try_acquire());
  CHECK(lock.try_acquire());
  CHECK(lock.renew());
}

TEST_CASE("a try that had no answer is taken back when its lock object ends") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  REQUIRE_FAKE(server);
  CHECK(support::is_once([&](const std::string& name) {
    ElasticsearchLock look{name, {}, server.url()};
    {
      ElasticsearchLock doubtful{name, {.expire = sherlock::never}, server.url()};
      server.plan({{"do", "lose"}, {"times", 1000}, {"method", "PUT"}});
      CHECK_THROWS_AS(doubtful.try_acquire(), BackendException);
      server.forget_plans();
      CHECK(look.locked());
    }
    return !look.locked();
  }));
}

TEST_CASE("a server that has too much to do, or is no whole cluster, is an exception that says so") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  REQUIRE_FAKE(server);
  ElasticsearchLock lock{"x", {}, server.url()};
  server.plan({{"do", "full"}});
  const BackendException full = failure_of([&] { static_cast<void>(lock.try_acquire()); });
  CHECK(full.code() == Errc::busy);
  CHECK_THAT(full.what(), says("429") && says("es_rejected_execution_exception") && says("try again soon"));
  server.plan({{"do", "halt"}, {"method", "PUT"}});
  CHECK_THAT(failure_of([&] { static_cast<void>(lock.try_acquire()); }).what(), says("503") && says("no master"));
  CHECK(lock.try_acquire());
}

TEST_CASE("an answer that comes after the lease: nothing was gained, and the next holder has a larger fence", "[process]") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  REQUIRE_FAKE(server);
  std::atomic<int> told{0};
  ElasticsearchLock holder{"x", {.expire = 3s, .on_lost = [&](const sherlock::LockException&) { ++told; }}, server.url()};
  ElasticsearchLock next{"x", {.timeout = 20s}, server.url()};
  holder.acquire();
  const auto fence = holder.fence();
  server.plan({{"do", "late"}, {"ms", 9000}, {"method", "PUT"}});
  const auto before = std::chrono::steady_clock::now();
  CHECK(failure_of([&] { static_cast<void>(holder.renew()); }).code() == Errc::busy);
  CHECK(std::chrono::steady_clock::now() - before < 8s);  // it gave up with the lease
  CHECK_FALSE(holder.held());
  next.acquire();
  CHECK_FALSE(holder.renew());
  CHECK(told == 1);
  CHECK(next.fence() > fence);
  CHECK(next.renew());
}

TEST_CASE("a server that is stopped makes every verb throw in its time", "[process]") {
  REQUIRE_SERVER(ElasticsearchServer);
  ElasticsearchServer server;
  REQUIRE_FAKE(server);
  support::every_verb_throws_in_its_time<ElasticsearchLock>(server, "127.0.0.1");
}

TEST_CASE("a server that was killed and starts empty: the hold is lost, and its next holder has a larger fence", "[process]") {
  REQUIRE_SERVER(ElasticsearchServer);
  ElasticsearchServer server;
  REQUIRE_FAKE(server);
  support::hold_is_lost_with_what_the_server_knew<ElasticsearchLock>(server, "(elasticsearch): http");
}

TEST_CASE("an address that swallows everything is an exception in time, and so is one where nobody listens") {
  support::no_server_is_an_exception_in_time<ElasticsearchLock>(loopback);
}

TEST_CASE("whatever a stranger answers is an exception in time, and takes no more memory than it is worth") {
  const auto http = [](const std::string& status, const std::string& body) {
    return "HTTP/1.1 " + status + " x\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  const std::string doc = R"("_source":{"owner":"x","held":true,"fence":"1"})";
  for (const std::string& bytes :
       {std::string{"+OK\r\n"}, std::string{"\0\0\0\0", 4}, std::string{"HTTP/1.1 200 OK\r\n\r\n"}, http("200", ""), http("200", "null"), http("200", "[]"), http("200", "{}"),
        http("404", ""), http("404", "{}"), http("404", R"({"found":true})"), http("201", R"({"result":"created"})"), http("301", ""), http("400", "<html>"),
        http("502", "<html>\x1b[2J"), http("409", "{}"), http("409", R"({"error":{"type":"\u001b[2J","reason":7}})"), http("999", "{}"),
        http("200", R"({"found":true,"_seq_no":1,"_primary_term":1,"_source":7})"), http("200", R"({"found":true,"_seq_no":-1,"_primary_term":1,)" + doc + "}"),
        http("200", R"({"found":true,"_seq_no":1.5,"_primary_term":1,)" + doc + "}"), http("200", R"({"found":true,"_seq_no":99999999999999999999,"_primary_term":1,)" + doc + "}"),
        http("200", R"({"found":"yes","_seq_no":1,"_primary_term":1,)" + doc + "}"), http("200", std::string(100'000, '[')),
        std::string{"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n"}, std::string{"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}"},
        std::string{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"}, "HTTP/1.1 200 OK\r\nx: " + std::string(2'000'000, 'x'),
        http("200", std::string(2'000'000, ' '))}) {
    INFO(bytes.substr(0, 100));
    const support::FakeServer stranger = support::FakeServer::saying(bytes);
    ElasticsearchLock lock{"x", {.timeout = 200ms, .retry_interval = 50ms}, loopback(stranger.port())};
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
    support::FakeServer::say(fd, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
    for (int i = 0; i < 500 && support::FakeServer::say(fd, " "); ++i) std::this_thread::sleep_for(20ms);
    return false;
  }};
  ElasticsearchLock lock{"x", {.timeout = 100ms}, loopback(slow.port())};
  const auto before = std::chrono::steady_clock::now();
  CHECK(failure_of([&] { static_cast<void>(lock.try_acquire()); }).code() == Errc::busy);
  CHECK(std::chrono::steady_clock::now() - before < 8s);
}

TEST_CASE("five hundred faults: nobody has the lock beside another, fences grow, and nothing stays held", "[process]") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  REQUIRE_FAKE(server);
  // Different URLs are different clients: these know nothing of each other, as processes do.
  const auto url = [&](int i) { return "http://client" + std::to_string(i) + '@' + server.url().substr(7); };
  std::atomic<int> inside{0}, beside{0}, failures{0}, holds{0}, lost{0};
  std::atomic<std::uint64_t> fence{0};
  std::atomic<bool> enough{false};
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 4; ++i)
      clients.emplace_back([&, i] {
        ElasticsearchLock lock{"x", {.expire = 100s, .timeout = 2s, .retry_interval = 1ms}, url(i)};
        // Whatever fails is asked again until it is done.
        const auto done = [&](auto ask) {
          for (;;) try {
              ask();
              return;
            } catch (const sherlock::LockLostException&) {
              ++lost;
              return;
            } catch (const sherlock::LockException&) {
              ++failures;
            }
        };
        while (!enough) {
          done([&] { lock.acquire(); });
          if (++inside != 1) ++beside;
          if (fence.exchange(lock.fence()) >= lock.fence()) ++beside;
          ++holds;
          done([&] {
            if (!lock.renew()) ++lost;
          });
          --inside;
          done([&] { lock.release(); });
        }
      });
    const char* const kinds[] = {"lose", "cut", "half", "late", "slow", "full", "halt"};
    for (int i = 0, planned = 0; planned < 500; ++i) {
      // Now and then a request is done when whoever asked has long given up.
      const bool late = i % 100 == 99;
      server.plan({{"do", late ? "slow" : kinds[i % 7]}, {"skip", i % 6}, {"times", 1 + i % 4}, {"ms", late ? 2200 : 5}, {"method", late ? "PUT" : i % 2 ? "GET" : "PUT"}});
      for (planned += 1 + i % 4; server.faults() < planned;) std::this_thread::sleep_for(1ms);
    }
    enough = true;
  }
  CHECK(beside == 0);
  CHECK(lost == 0);
  CHECK(holds >= 20);
  std::printf("%d faults, %d holds, %d calls that failed\n", server.faults(), holds.load(), failures.load());
  ElasticsearchLock last{"x", {}, server.url()};
  CHECK(last.try_acquire());
  CHECK(last.fence() > fence);
}
