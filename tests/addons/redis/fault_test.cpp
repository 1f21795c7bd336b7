// SPDX-License-Identifier: MIT
// Servers that stop, die, forget, cut connections, are not there, or talk nonsense.
#include <sherlock/addons/redis_lock.hpp>

#include <atomic>
#include <filesystem>
#include <thread>

#include "addons/redis/scripts.hpp"
#include "addons/support/failure_of.hpp"
#include "addons/support/fake_server.hpp"
#include "addons/support/keeps_time.hpp"
#include "addons/support/late_reader.hpp"
#include "addons/support/proxy.hpp"
#include "addons/support/redis_server.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::RedisLock, sherlock::BackendException, sherlock::Errc;
using support::RedisServer, support::failure_of, support::says;

namespace {

std::string loopback(int port) { return "redis://127.0.0.1:" + std::to_string(port); }

}  // namespace

TEST_CASE("a server that is stopped past the lease: the holder knows before anybody is let in", "[process]") {
  REQUIRE_SERVER(RedisServer);
  RedisServer server;
  support::holder_knows_before_anybody_is_let_in<RedisLock>(server);
}

TEST_CASE("a server that is stopped makes every verb throw in its time", "[process]") {
  REQUIRE_SERVER(RedisServer);
  RedisServer server;
  support::every_verb_throws_in_its_time<RedisLock>(server, server.socket());
}

TEST_CASE("a try that had no answer is taken back when its lock object ends", "[process]") {
  REQUIRE_SERVER(RedisServer);
  RedisServer server;
  support::try_without_answer_is_taken_back<RedisLock>(server);
}

TEST_CASE("a server that was killed and starts empty: the hold is lost, and its next holder has a larger fence", "[process]") {
  REQUIRE_SERVER(RedisServer);
  RedisServer server{RedisServer::On::port};
  support::hold_is_lost_with_what_the_server_knew<RedisLock>(server, "(redis): redis");
}

TEST_CASE("connections that are cut between verbs, or while somebody waits, are made anew") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock holder{"x", {}, server.url()}, waiter{"x", {.timeout = 20s, .retry_interval = 50ms}, server.url()};
  holder.acquire();
  const auto cut = [&](const char* type) { server.cli({"CLIENT", "KILL", "TYPE", type}); };
  cut("normal");
  CHECK(holder.renew());
  std::jthread waits{[&] { waiter.acquire(); }};
  while (holder.holder()->waiting != 1u) std::this_thread::yield();
  cut("pubsub");
  cut("normal");
  holder.release();
  waits.join();
  CHECK(waiter.held());
}

TEST_CASE("a name that leads to another primary now, while the old one lives on as a replica, is followed at once") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer old, primary{RedisServer::On::port};
  const support::TempDir directory;
  const std::string name = directory / "name";
  std::filesystem::create_symlink(old.socket(), name);
  RedisLock one{"a", {}, "redis+unix://" + name}, two{"b", {}, "redis+unix://" + name};
  one.acquire();
  two.acquire();
  one.release();
  old.cli({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
  std::filesystem::remove(name);
  std::filesystem::create_symlink(primary.socket(), name);
  CHECK(one.try_acquire());
  CHECK(primary.cli({"EXISTS", "sherlock:{" + one.key() + "}"}) == "1");
  CHECK_FALSE(two.renew());
}

TEST_CASE("a server that takes no writes is asked on a new connection every time, one that only forgot its scripts is not") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server, primary{RedisServer::On::port};
  RedisLock lock{"x", {}, server.url()};
  lock.acquire();
  lock.release();
  const auto connections = [&] {  // that were ever made; one of them is redis-cli's
    const std::string stats = server.cli({"INFO", "stats"}), name = "total_connections_received:";
    return std::stol(stats.substr(stats.find(name) + name.size()));
  };
  const long before = connections();
  server.cli({"SCRIPT", "FLUSH"});
  lock.acquire();
  lock.release();
  CHECK(connections() == before + 2);
  server.cli({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
  for (int i = 0; i < 2; ++i) CHECK_THROWS_WITH(lock.try_acquire(), says("name the primary") || says("LOADING"));
  CHECK(connections() == before + 2 + 1 + 2 + 1);
}

TEST_CASE("whatever is asked twice, because its answer was lost, is done once") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock lock{"x", {.expire = 20s}, server.url()};
  const std::string key = "sherlock:{" + lock.key() + "}", past = key + ":past";
  lock.acquire();
  const std::string fence = server.cli({"HGET", past, "fence"}), owner = server.cli({"GET", key});
  const auto again = [&](const sherlock::addons::redis::Script& script, std::vector<std::string> args) {
    args.insert(args.begin(), {"EVALSHA", std::string{script.name.view()}, "2", key, past, owner});
    return server.cli(args);
  };
  CHECK(again(sherlock::addons::redis::kAcquire, {"20000", "{}", "1", "100000"}) == "1\n" + fence + "\n0");
  CHECK(lock.renew());
  lock.release();
  CHECK(again(sherlock::addons::redis::kRelease, {key, "100000", ""}) == "1");
  RedisLock next{"x", {}, server.url()};
  next.acquire();
  CHECK_FALSE(next.abandoned());
}

TEST_CASE("an address that swallows everything is an exception in time, and so is one where nobody listens") {
  support::no_server_is_an_exception_in_time<RedisLock>(loopback);
}

TEST_CASE("a request that had no answer in time is dropped on its way, and not carried out when the network comes back") {
  support::LateReader server;
  RedisLock lock{"x", {.timeout = 0s}, loopback(server.port())};
  CHECK(failure_of([&] { static_cast<void>(lock.try_acquire()); }).code() == Errc::busy);
  CHECK(server.end() == support::LateReader::End::reset);
}

TEST_CASE("a release that had no answer, and was done, is one also when others had the lock since; one that came too late is none") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  support::Proxy proxy{server.socket()};
  enum class Ours { released, abandoned, forgotten };
  const auto ours = GENERATE(Ours::released, Ours::abandoned, Ours::forgotten);
  const bool first = GENERATE(true, false);
  const int others = GENERATE(0, 1, 2);
  RedisLock lock{"x", {.timeout = 1s}, loopback(proxy.port())};
  const std::string key = "sherlock:{" + lock.key() + "}";
  const auto take = [&] {
    RedisLock next{"x", {}, server.url()};
    next.acquire();
    return next.abandoned();
  };
  if (!first) {  // an older hold that was abandoned says nothing of ours
    RedisLock older{"x", {}, server.url()};
    older.acquire();
    server.cli({"DEL", key});
  }
  lock.acquire();
  REQUIRE(lock.abandoned() == !first);
  proxy.refuse(true);
  proxy.cut();
  CHECK(failure_of([&] { lock.release(); }).code() == Errc::unavailable);
  if (ours == Ours::abandoned) server.cli({"DEL", key});
  if (ours == Ours::forgotten) server.cli({"FLUSHALL"});
  if (ours == Ours::released) {  // it was on its way still
    const auto& script = sherlock::addons::redis::kRelease;
    CHECK(server.cli({"EVAL", std::string{script.text}, "2", key, key + ":past", server.cli({"GET", key}), key, "100000", ""}) == "1");
  }
  for (int i = 0; i < others; ++i) CHECK(take() == (ours == Ours::abandoned && i == 0));
  proxy.refuse(false);
  if (ours == Ours::released)
    CHECK_NOTHROW(lock.release());
  else
    CHECK_THROWS_AS(lock.release(), sherlock::LockLostException);
}

TEST_CASE("a try that the server carries out after its hold was released takes nothing; the next one does") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  RedisLock lock{"x", {.expire = 20s}, server.url()};
  const std::string key = "sherlock:{" + lock.key() + "}", past = key + ":past";
  lock.acquire();
  const std::string owner = server.cli({"GET", key});
  lock.release();
  const auto late = [&](std::vector<std::string> more = {}) {
    std::vector<std::string> words{"EVALSHA", std::string{sherlock::addons::redis::kAcquire.name.view()}, "2", key, past, owner, "20000", "{}", "1", "100000"};
    words.insert(words.end(), more.begin(), more.end());
    return server.cli(words);
  };
  CHECK(late() == "0\n-1");
  CHECK_FALSE(lock.locked());
  CHECK(late({"again"}).starts_with("1\n"));
  CHECK(server.cli({"DEL", key}) == "1");
  CHECK(lock.try_acquire());
}

TEST_CASE("a grant that comes when its lease is over, over a hold that was lost, keeps no later try out", "[process]") {
  REQUIRE_SERVER(RedisServer);
  RedisServer server;
  RedisLock lock{"x", {.expire = 400ms, .timeout = 10s}, server.url()};
  bool came_late = false;
  for (int round = 0; round < 10 && !came_late; ++round) {  // a busy machine lets it come in time, or not at all
    lock.acquire();
    server.cli({"DEL", "sherlock:{" + lock.key() + "}"});
    server.stop();
    std::jthread late{[&] {
      while (lock.held()) std::this_thread::yield();
      std::this_thread::sleep_for(400ms);  // the lease that is asked for meanwhile
      server.resume();
    }};
    try {
      came_late = !lock.try_acquire();
    } catch (const BackendException&) {
    }
    late.join();
    if (!came_late) lock.unlock();
  }
  REQUIRE(came_late);
  CHECK(lock.try_acquire());
}

TEST_CASE("whatever a stranger answers is an exception in time, and takes no more memory than it is worth") {
  const std::string huge = "*2147483647\r\n", deep = "*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n*2\r\n";
  for (const std::string& bytes :
       {std::string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, std::string{"+OK\r\n"}, std::string{":1\r\n"}, std::string{":-1\r\n"}, std::string{":2\r\n"}, std::string{"$-1\r\n"},
        std::string{"*-1\r\n"}, std::string{"*0\r\n"}, std::string{"$3\r\nabc\r\n"}, std::string{"*3\r\n:1\r\n:2\r\n:3\r\n"}, std::string{"*3\r\n:1\r\n$1\r\nx\r\n:0\r\n"},
        std::string{"*3\r\n:7\r\n$1\r\n1\r\n:0\r\n"}, std::string{"*3\r\n:1\r\n$21\r\n999999999999999999999\r\n:0\r\n"}, std::string{"*2\r\n:1\r\n:1\r\n"}, huge, huge + huge, deep,
        std::string{"*-2\r\n"}, std::string{"$-2\r\n"}, std::string{"$99999999999999999999\r\n"}, std::string{":99999999999999999999\r\n"}, std::string{"%1\r\n+a\r\n+b\r\n"},
        std::string{"-NOSCRIPT no\r\n"}, std::string{"-\x1b[2J\r\n"}, std::string{"-\r\n"}, std::string{"\0\0\0\0", 4}, std::string{"*0\r\n*0\r\n"}, std::string{":1\r\n:1\r\n"},
        "-" + std::string(100000, 'x') + "\r\n", "$" + std::string("2000000\r\n") + std::string(2000000, 'x') + "\r\n"}) {
    INFO(bytes.substr(0, 40));
    const support::FakeServer stranger = support::FakeServer::saying(bytes);
    RedisLock lock{"x", {.timeout = 200ms, .retry_interval = 50ms}, loopback(stranger.port())};
    for (const auto& ask : std::initializer_list<std::function<void()>>{[&] { static_cast<void>(lock.try_acquire()); }, [&] { lock.acquire(); },
                                                                        [&] { static_cast<void>(lock.holder()); }, [&] { RedisLock::list(loopback(stranger.port())); }}) {
      const std::string said = failure_of(ask).what();
      CHECK(said.size() < 1000);
      CHECK(said.find('\x1b') == std::string::npos);
    }
  }
}

TEST_CASE("an answer that does not end, or has another one behind it, is damage") {
  const auto locked = [](const std::string& bytes) {
    const support::FakeServer stranger = support::FakeServer::saying(bytes);
    const RedisLock lock{"x", {.timeout = 200ms}, loopback(stranger.port())};
    return failure_of([&] { static_cast<void>(lock.locked()); }).code();
  };
  CHECK(locked("$500000000\r\n" + std::string(1'100'000, 'x')) == Errc::damaged);
  CHECK(locked(":1\r\n:0\r\n") == Errc::damaged);
}

TEST_CASE("a refusal that says nonsense about the holder's lease stops no waiter past its timeout") {
  for (const char* left : {"-9223372036854775808", "9223372036854775807", "0", "-2"}) {
    const support::FakeServer stranger = support::FakeServer::saying("*2\r\n:0\r\n:" + std::string{left} + "\r\n");
    RedisLock lock{"x", {.timeout = 200ms, .retry_interval = 50ms}, loopback(stranger.port())};
    const auto before = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(lock.acquire(), sherlock::LockException);
    CHECK(std::chrono::steady_clock::now() - before < 8s);
  }
}

TEST_CASE("a server that says something else without end keeps no waiter past its timeout, before it listens and after") {
  const std::string channel_of_x = "sherlock:{" + RedisLock{"x", {}, loopback(1)}.key() + "}";
  const std::string subscribed = "*3\r\n$9\r\nsubscribe\r\n$" + std::to_string(channel_of_x.size()) + "\r\n" + channel_of_x + "\r\n:1\r\n";
  for (const std::string& first : {std::string{"+OK\r\n"}, subscribed}) {
    std::string flood;
    for (int i = 0; i < 1000; ++i) flood += "+OK\r\n";
    std::vector<std::jthread> flooding;  // so that others are answered
    const support::FakeServer floods{[&](int fd, const std::string& heard) {
      if (heard.find("EVAL") != std::string::npos) return support::FakeServer::say(fd, "*2\r\n:0\r\n:60000\r\n");
      if (heard.find("\r\nSUBSCRIBE") == std::string::npos) return true;
      if (!support::FakeServer::say(fd, first)) return false;
      flooding.emplace_back([&flood, own = ::dup(fd)](const std::stop_token& stop) {
        while (!stop.stop_requested() && (::send(own, flood.data(), flood.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0 || errno == EAGAIN)) {
        }
        ::close(own);
      });
      return true;
    }};
    RedisLock lock{"x", {.timeout = 300ms}, loopback(floods.port())};
    const auto before = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(lock.acquire(), sherlock::LockException);
    CHECK(std::chrono::steady_clock::now() - before < 8s);
  }
}

TEST_CASE("who waits for less than a second gives a server that does not let it listen no more than that") {
  std::atomic<int> asked{0};
  const support::FakeServer mute{[&](int fd, const std::string& heard) {
    if (heard.find("EVAL") != std::string::npos) return support::FakeServer::say(fd, "*2\r\n:0\r\n:60000\r\n");
    asked += heard.find("SUBSCRIBE") != std::string::npos;
    return true;
  }};
  RedisLock lock{"x", {.timeout = 5s, .retry_interval = 10ms}, loopback(mute.port())};
  for (int i = 0; i < 10 && asked < 2; ++i) {
    asked = 0;
    CHECK_FALSE(lock.try_acquire_for(500ms));
  }
  CHECK(asked >= 2);  // in one wait: it does not sit out its second
}

TEST_CASE("who waits for longer listens also where that takes longer than it is to the next try") {
  REQUIRE_SERVER(RedisServer);
  const RedisServer server;
  support::Proxy proxy{server.socket()};
  RedisLock holder{"x", {}, server.url()}, waiter{"x", {.timeout = 30s, .retry_interval = 10ms}, loopback(proxy.port())};
  holder.acquire();
  proxy.delay(100ms);
  std::jthread waits{[&] { waiter.acquire(); }};
  const auto ear = [&] {  // its number, if there is one
    const std::string all = server.cli({"CLIENT", "LIST", "TYPE", "pubsub"});
    return all.substr(0, all.find(' '));
  };
  const auto tries = [&] {
    const std::string stats = server.cli({"INFO", "commandstats"}), name = "cmdstat_evalsha:calls=";
    return std::stol(stats.substr(stats.find(name) + name.size()));
  };
  bool listens = false;
  for (int i = 0; i < 10 && !listens; ++i) {
    const std::string before = ear();
    for (const long enough = tries() + 5; tries() < enough;) std::this_thread::yield();
    listens = !before.empty() && ear() == before;
  }
  holder.release();
  waits.join();
  CHECK(listens);
}

TEST_CASE("a server that says one byte after the other is given up in time") {
  const support::FakeServer slow{[](int fd, const std::string& heard) {
    if (heard.empty()) return true;
    for (int i = 0; i < 500 && support::FakeServer::say(fd, i == 0 ? "+" : "x"); ++i) std::this_thread::sleep_for(20ms);
    return false;
  }};
  RedisLock lock{"x", {.timeout = 100ms}, loopback(slow.port())};
  const auto before = std::chrono::steady_clock::now();
  CHECK(failure_of([&] { static_cast<void>(lock.try_acquire()); }).code() == Errc::busy);
  CHECK(std::chrono::steady_clock::now() - before < 8s);
}
