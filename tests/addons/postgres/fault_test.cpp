// SPDX-License-Identifier: MIT
// Servers that stop, die, forget, cut connections, have somebody in between, are not there, or talk nonsense.
#include <sherlock/addons/postgres_lock.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "addons/support/blackhole.hpp"
#include "addons/support/failure_of.hpp"
#include "addons/support/fake_server.hpp"
#include "addons/support/keeps_time.hpp"
#include "addons/support/postgres_server.hpp"
#include "addons/support/proxy.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::PostgresLock, sherlock::BackendException, sherlock::Errc;
using support::PostgresServer, support::failure_of, support::says;

namespace {

std::string loopback(int port) { return "postgresql://me:hush@127.0.0.1:" + std::to_string(port) + "/db?sslmode=disable"; }

}  // namespace

TEST_CASE("a server that is stopped past the lease: the holder knows before anybody is let in", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  PostgresServer server;
  support::holder_knows_before_anybody_is_let_in<PostgresLock>(server);
}

TEST_CASE("a server that is stopped makes every verb throw in its time", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  PostgresServer server;
  support::every_verb_throws_in_its_time<PostgresLock>(server, "postgresql://");
}

TEST_CASE("a try that had no answer is taken back when its lock object ends", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  PostgresServer server;
  support::try_without_answer_is_taken_back<PostgresLock>(server);
}

TEST_CASE("a server that is killed and started again still has its locks; one that starts empty has lost them, and its next holder has a larger fence", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  PostgresServer server;
  PostgresLock holder{"x", {}, server.url()}, next{"x", {}, server.url()};
  holder.acquire();
  const auto fence = holder.fence();
  server.kill();
  const BackendException e = failure_of([&] { static_cast<void>(holder.renew()); });
  CHECK(e.code() == Errc::unavailable);
  CHECK_THAT(e.what(), says("lock 'x' (postgres): postgresql://"));
  CHECK(holder.held());  // it may come back
  server.start();
  CHECK(holder.renew());
  CHECK_FALSE(next.try_acquire());
  server.start_empty();
  CHECK_FALSE(holder.renew());
  CHECK_FALSE(holder.held());
  CHECK(next.try_acquire());
  CHECK(next.fence() > fence);
  CHECK_THROWS_AS(holder.release(), sherlock::LockLostException);
  CHECK(next.renew());
}

TEST_CASE("connections that are cut between verbs, or while somebody waits, are made anew") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  PostgresLock holder{"x", {}, server.url()}, waiter{"x", {.timeout = 20s, .retry_interval = 50ms}, server.url()};
  const auto cut = [&] { server.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'sherlock'"); };
  holder.acquire();
  cut();
  CHECK(holder.renew());
  std::jthread waits{[&] { waiter.acquire(); }};
  while (holder.holder()->waiting != 1u) std::this_thread::yield();
  cut();
  holder.release();
  waits.join();
  CHECK(waiter.held());
}

TEST_CASE("a release whose answer is lost is done, though somebody else has the lock when it is asked again", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server{PostgresServer::On::port};
  server.sql("CREATE ROLE locks LOGIN SUPERUSER PASSWORD 'x'");
  support::Proxy proxy{server.port()};
  PostgresLock holder{"x", {}, "postgresql://locks:x@127.0.0.1:" + std::to_string(proxy.port()) + "/postgres"}, look{"x", {}, server.url()};
  for (int round = 0; round < 5; ++round) {
    holder.acquire();
    PostgresLock waiter{"x", {.timeout = 20s, .retry_interval = 1h}, server.url()};
    std::jthread waits{[&] { waiter.acquire(); }};
    while (look.holder()->waiting != 1u) std::this_thread::yield();
    proxy.lose_reply(1);
    holder.release();
    waits.join();
    CHECK(proxy.lost() == round + 1);
    CHECK(waiter.renew());
  }
}

TEST_CASE("a release that had no answer in time and was carried out is done, though others have had the lock when it is asked again", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server{PostgresServer::On::port};
  server.sql("CREATE ROLE locks LOGIN SUPERUSER PASSWORD 'x'");
  support::Proxy proxy{server.port()};
  PostgresLock holder{"x", {.timeout = 1s}, "postgresql://locks:x@127.0.0.1:" + std::to_string(proxy.port()) + "/postgres"};
  PostgresLock other{"x", {.timeout = 20s}, server.url()};
  const auto in_doubt = [&] {
    holder.acquire();
    holder.release();  // from here on the server knows the statement, which is one request then
    holder.acquire();
    proxy.hold(true);
    CHECK(failure_of([&] { holder.release(); }).code() == Errc::busy);
    proxy.heal();
    other.acquire();  // it was carried out
  };
  in_doubt();
  for (int i = 0; i < 2; ++i) {
    other.release();
    other.acquire();
  }
  other.release();
  CHECK_NOTHROW(holder.release());
  // But where the hold before the last was not released, it may have been ours.
  in_doubt();
  other.release();
  server.sql("UPDATE sherlock_locks SET abandoned = true");
  CHECK_THROWS_AS(holder.release(), sherlock::LockLostException);
}

TEST_CASE("a grant whose answer is lost where the waiter listens is asked for again, and is the same", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server{PostgresServer::On::port};
  server.sql("CREATE ROLE locks LOGIN SUPERUSER PASSWORD 'x'");
  support::Proxy proxy{server.port()};
  PostgresLock holder{"x", {}, server.url()};
  PostgresLock waiter{"x", {.timeout = 20s, .retry_interval = 1h}, "postgresql://locks:x@127.0.0.1:" + std::to_string(proxy.port()) + "/postgres"};
  const auto hand_over = [&](int requests) {
    holder.acquire();
    const auto fence = holder.fence();
    std::jthread waits{[&] { waiter.acquire(); }};
    while (holder.holder()->waiting != 1u || proxy.requests() < requests || proxy.replies() < requests) std::this_thread::yield();
    holder.release();
    waits.join();
    CHECK(waiter.held());
    CHECK(waiter.fence() > fence);
    CHECK_FALSE(waiter.abandoned());
    CHECK(waiter.renew());
    waiter.release();
    // What it says when it stops listening is a request as well.
    while (server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != "0" || proxy.replies() != proxy.requests()) std::this_thread::yield();
  };
  hand_over(0);  // from here on it has connections
  const int before = proxy.requests();
  proxy.lose_reply(4);  // it asks, listens, asks again, and takes
  hand_over(before + 3);
  CHECK(proxy.lost() == 1);
}

TEST_CASE("a host that swallows everything, or is no use, leaves the next one its share of the time", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server{PostgresServer::On::port};
  server.sql("CREATE ROLE locks LOGIN SUPERUSER PASSWORD 'x'");
  const support::Blackhole blackhole;
  for (const int first : {blackhole.port(), support::free_port()}) {
    PostgresLock lock{"x", {.timeout = 6s}, "postgresql://locks:x@127.0.0.1:" + std::to_string(first) + ",127.0.0.1:" + std::to_string(server.port()) + "/postgres"};
    CHECK_NOTHROW(lock.acquire());
  }
}

TEST_CASE("a row that somebody else's transaction keeps makes a try busy, never refused, and it is free again afterwards", "[process]") {
  REQUIRE_SERVER(PostgresServer);
  const PostgresServer server;
  PostgresLock lock{"x", {}, server.url()};
  lock.acquire();
  lock.release();
  support::Program other{{"sh", "-c", "exec \"$0\" \"$@\"", "psql", "-X", "-h", std::filesystem::path{server.socket()}.parent_path().string(), "-U", "sherlock", "-d", "postgres", "-c",
                          "BEGIN; SELECT * FROM sherlock_locks FOR UPDATE; SELECT pg_sleep(30)"}};
  while (server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "1") std::this_thread::yield();
  CHECK(failure_of([&] { static_cast<void>(lock.try_acquire()); }).code() == Errc::busy);
  // Nor does clean() wait for it, and all others behind clean().
  const auto before = std::chrono::steady_clock::now();
  CHECK(failure_of([&] { PostgresLock::clean(server.url()); }).code() == Errc::busy);
  CHECK(std::chrono::steady_clock::now() - before < 10s);
  PostgresLock another{"y", {}, server.url()};
  CHECK(another.try_acquire());
  server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
  CHECK(lock.try_acquire());
}

TEST_CASE("an address that swallows everything is an exception in time, and so is one where nobody listens") {
  const support::Blackhole blackhole;
  PostgresLock lost{"x", {.timeout = 100ms}, loopback(blackhole.port())};
  const auto before = std::chrono::steady_clock::now();
  const BackendException e = failure_of([&] { static_cast<void>(lost.try_acquire()); });
  CHECK(e.code() == Errc::busy);
  CHECK_THAT(e.what(), says("127.0.0.1") && says("is the address right") && !says("hush"));
  CHECK(std::chrono::steady_clock::now() - before >= 900ms);  // a try has a second, which libraries count in milliseconds
  CHECK(std::chrono::steady_clock::now() - before < 8s);
  PostgresLock nobody{"x", {}, loopback(support::free_port())};
  const BackendException refused = failure_of([&] { nobody.acquire(); });
  CHECK(refused.code() == Errc::unavailable);
  CHECK_THAT(refused.what(), !says("hush"));
}

namespace {

std::string message(char type, const std::string& body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 4);
  std::string all{type};
  for (const int shift : {24, 16, 8, 0}) all += static_cast<char>(length >> shift & 0xff);
  return all + body;
}
std::string number16(int n) { return {static_cast<char>(n >> 8), static_cast<char>(n)}; }
std::string number32(long n) { return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)}; }
std::string text0(const std::string& text) { return text + '\0'; }

const std::string kReady = message('Z', "I");
// Lets anybody in, as process 7 of version 15.
const std::string kWelcome = message('R', number32(0)) + message('S', text0("server_version") + text0("15.0")) + message('K', number32(7) + number32(1)) + kReady;
// A result of one row of these columns; nothing: null.
std::string row(const std::vector<std::optional<std::string>>& values, bool there = true) {
  std::string columns = number16(static_cast<int>(values.size())), data = columns;
  for (const auto& value : values) {
    columns += text0("c") + number32(0) + number16(0) + number32(25) + number16(-1) + number32(-1) + number16(0);
    data += number32(value ? static_cast<long>(value->size()) : -1) + value.value_or("");
  }
  return message('T', columns) + (there ? message('D', data) : "") + message('C', text0("SELECT 1")) + kReady;
}

// Says the n-th thing at the n-th that is heard, and the last one from then on.
support::FakeServer saying(std::vector<std::string> all) {
  auto turns = std::make_shared<std::map<int, std::size_t>>();
  return support::FakeServer{[all, turns](int fd, const std::string& heard) {
    if (heard.empty()) {
      (*turns)[fd] = 0;
      return true;
    }
    std::size_t& turn = (*turns)[fd];
    return support::FakeServer::say(fd, all[std::min(turn++, all.size() - 1)]);
  }};
}

}  // namespace

TEST_CASE("whatever a stranger answers is an exception in time, shows no secret, and no command of a terminal", "[process]") {
  const std::string greeting = row({"7", "0"}), parsed = message('1', "") + kReady;
  const std::string error = message('E', text0("SFATAL") + text0("C28P01") + text0("Mhush \x1b[2J hush" + std::string(20000, 'x')) + std::string(1, '\0'));
  const std::vector<std::vector<std::string>> all{
      {"HTTP/1.1 400 Bad Request\r\n\r\n"},
      {error},
      {std::string(100, '\0')},
      {message('R', number32(99))},
      {message('R', number32(3)), error},                   // it wants the password, and says it
      {"R\x7f\xff\xff\xff"},
      {kWelcome, "garbage garbage garbage"},
      {kWelcome, row({"8", "0"})},                          // a pooler's answer
      {kWelcome, row({"7", "1"})},                          // a standby
      {kWelcome, row({"7"})},
      {kWelcome, message('G', std::string(3, '\0')) + kReady},  // COPY
      {kWelcome, greeting, error + kReady},
      {kWelcome, greeting, kReady},
      {kWelcome, greeting, parsed, row({})},
      {kWelcome, greeting, parsed, row({"x", "y", "z"})},
      {kWelcome, greeting, parsed, row({"1", "0", "0", "0"})},
      {kWelcome, greeting, parsed, row({"99999999999999999999", "0", ""})},
      {kWelcome, greeting, parsed, message('D', std::string(100, '\xff')) + kReady},
      {kWelcome, greeting, parsed, "D\x40\x01\x01\x01" + std::string(10'000'000, 'x')},  // does not end
      {kWelcome, greeting, parsed, message('A', number32(7) + text0("a") + text0("b"))},
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    INFO(i);
    const support::FakeServer stranger = saying(all[i]);
    PostgresLock lock{"x", {.timeout = 200ms, .retry_interval = 50ms}, loopback(stranger.port())};
    for (const auto& ask : std::initializer_list<std::function<void()>>{[&] { static_cast<void>(lock.try_acquire()); }, [&] { lock.acquire(); },
                                                                        [&] { static_cast<void>(lock.holder()); }}) {
      const auto before = std::chrono::steady_clock::now();
      const std::string said = failure_of(ask).what();
      CHECK(std::chrono::steady_clock::now() - before < 8s);
      CHECK(said.size() < 1000);
      CHECK(said.find('\x1b') == std::string::npos);
      CHECK_THAT(said, !says("hush"));
    }
  }
}

TEST_CASE("a password from a file is not shown either", "[process]") {
  const support::FakeServer stranger = saying({message('R', number32(3)), message('E', text0("SFATAL") + text0("C28P01") + text0("Mit is hush!") + std::string(1, '\0'))});
  const support::TempDir directory;
  const std::string file = directory.write("passfile", "*:*:*:me:hush\n");
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  PostgresLock lock{"x", {}, "postgresql://me@127.0.0.1:" + std::to_string(stranger.port()) + "/db?sslmode=disable&passfile=" + file};
  CHECK_THAT(failure_of([&] { static_cast<void>(lock.try_acquire()); }).what(), says("it is ***!") && !says("hush"));
}

TEST_CASE("somebody in between who hands out other people's connections is refused, and so is a standby") {
  const auto said = [](const std::string& greeting) {
    const support::FakeServer server = saying({kWelcome, greeting});
    PostgresLock lock{"x", {}, loopback(server.port())};
    return std::string{failure_of([&] { static_cast<void>(lock.try_acquire()); }).what()};
  };
  CHECK_THAT(said(row({"8", "0"})), says("a pooler is in between"));
  CHECK_THAT(said(row({"7", "1"})), says("it is a standby"));
}

TEST_CASE("a server that says one byte after the other is given up in time") {
  const support::FakeServer slow{[](int fd, const std::string& heard) {
    if (heard.empty()) return true;
    for (int i = 0; i < 500 && support::FakeServer::say(fd, i == 0 ? "R" : std::string(1, '\0')); ++i) std::this_thread::sleep_for(20ms);
    return false;
  }};
  PostgresLock lock{"x", {.timeout = 100ms}, loopback(slow.port())};
  const auto before = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(lock.try_acquire(), BackendException);
  CHECK(std::chrono::steady_clock::now() - before < 8s);
}

namespace {

// A server on which somebody else has every lock, for a minute. `listened` is told of each request on a connection that says LISTEN, from that one on: true if
// it has dealt with it.
support::FakeServer held_by_somebody(std::function<bool(int fd, const std::string& heard)> listened) {
  struct State {
    int heard = 0;
    bool listens = false;
  };
  auto states = std::make_shared<std::map<int, State>>();
  return support::FakeServer{[states, listened](int fd, const std::string& heard) {
    if (heard.empty()) {
      (*states)[fd] = {};
      return true;
    }
    State& state = (*states)[fd];
    if (state.heard < 2) return support::FakeServer::say(fd, state.heard++ == 0 ? kWelcome : row({"7", "0"}));
    state.listens = state.listens || heard.find("LISTEN sherlock_") != std::string::npos;
    if (state.listens && listened(fd, heard)) return true;
    return support::FakeServer::say(fd, heard[0] == 'P' ? message('1', "") + kReady : heard[0] == 'B' ? row({std::nullopt, std::nullopt, "60000"}) : row({""}));
  }};
}

// Says NOTICE, as fast as it is heard, for longer than any test waits.
class Flood {
 public:
  void pour(int fd) {
    if (thread_.joinable()) return;
    thread_ = std::jthread{[this, fd = ::dup(fd)](const std::stop_token& stop) {
      std::string notices;
      for (int i = 0; i < 3000; ++i) notices += message('N', text0("SNOTICE") + text0("C00000") + text0("Mx") + std::string(1, '\0'));
      const auto end = std::chrono::steady_clock::now() + 20s;
      for (std::size_t at = 0; !stop.stop_requested() && std::chrono::steady_clock::now() < end;) {
        pollfd polled{fd, POLLOUT, 0};
        if (::poll(&polled, 1, 10) <= 0) continue;
        const ssize_t sent = ::send(fd, notices.data() + at, notices.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) break;
        if (sent > 0) at = (at + static_cast<std::size_t>(sent)) % notices.size(), sent_ += static_cast<std::size_t>(sent);
      }
      ::close(fd);
    }};
  }
  std::size_t sent() const { return sent_; }

 private:
  std::atomic<std::size_t> sent_{0};
  std::jthread thread_;
};

}  // namespace

TEST_CASE("a server that does not stop talking keeps a waiter neither past its time nor from a request to stop", "[process]") {
  const auto flooded = [](const std::function<void(PostgresLock&, const Flood&)>& wait) {
    Flood flood;
    const support::FakeServer server = held_by_somebody([&](int fd, const std::string& heard) {
      if (heard[0] != 'B') return false;
      support::FakeServer::say(fd, row({"", ""}, false));  // to the last request before the wait: somebody was quicker
      flood.pour(fd);
      return true;
    });
    PostgresLock lock{"x", {.timeout = 1h, .retry_interval = 1h}, loopback(server.port())};
    for (int round = 0; round < 10 && flood.sent() == 0; ++round) {  // a busy machine has not come to listen in time
      const auto before = std::chrono::steady_clock::now();
      wait(lock, flood);
      CHECK(std::chrono::steady_clock::now() - before < 8s);
    }
    CHECK(flood.sent() > 0);
  };
  flooded([](PostgresLock& lock, const Flood&) { CHECK_FALSE(lock.try_acquire_for(500ms)); });
  flooded([](PostgresLock& lock, const Flood& flood) {
    std::stop_source stop;
    const std::jthread stops{[&] {
      while (flood.sent() < 1'000'000) std::this_thread::yield();
      stop.request_stop();
    }};
    CHECK_THROWS_AS(lock.acquire(stop.get_token()), sherlock::LockCancelledException);
  });
}

TEST_CASE("a server that does not let a waiter listen keeps it no longer than it would wait", "[process]") {
  const support::FakeServer server = held_by_somebody([](int, const std::string&) { return true; });
  auto fastest = std::chrono::steady_clock::duration::max();
  for (int round = 0; round < 5 && fastest >= 900ms; ++round) {  // a busy machine may be late
    PostgresLock lock{"x", {.retry_interval = 1h}, loopback(server.port())};
    const auto before = std::chrono::steady_clock::now();
    CHECK_FALSE(lock.try_acquire_for(100ms));
    fastest = std::min(fastest, std::chrono::steady_clock::now() - before);
  }
  CHECK(fastest < 900ms);  // what a server has for that, where there is time, is a second
}
