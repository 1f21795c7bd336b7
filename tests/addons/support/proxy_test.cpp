// SPDX-License-Identifier: MIT
// The proxy of the fault runs, in front of somebody who says what he hears.
#include "addons/support/proxy.hpp"

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "addons/support/fake_server.hpp"
#include "catch.hpp"
#include "support/becomes.hpp"
#include "support/subprocess.hpp"

using namespace std::chrono_literals;
using support::FakeServer;
using support::Proxy;

namespace {

FakeServer echo() {
  return FakeServer{[](int fd, const std::string& heard) { return heard.empty() || FakeServer::say(fd, heard); }};
}

// What a connection says: bytes, its end, or nothing for a while.
class Client {
 public:
  explicit Client(int port) : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    const sockaddr_in address = support::detail::loopback(port);
    refused_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
  }
  explicit Client(const Proxy& proxy) : Client{proxy.port()} {}
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool refused() const { return refused_; }
  void say(const std::string& bytes) const { static_cast<void>(!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL)); }
  std::string hear(std::size_t bytes, std::chrono::milliseconds patience = support::kPatience) const {
    std::string heard;
    for (char some[256]; heard.size() < bytes;) {
      if (!readable(patience)) return heard + "(silence)";
      const ssize_t got = ::recv(fd_, some, std::min(sizeof some, bytes - heard.size()), 0);
      if (got == 0) return heard + "(end)";
      if (got < 0) return heard + (errno == ECONNRESET ? "(reset)" : "(error)");
      heard.append(some, static_cast<std::size_t>(got));
    }
    return heard;
  }
  std::string ask(const std::string& words) const {
    say(words);
    return hear(words.size());
  }

 private:
  bool readable(std::chrono::milliseconds patience) const {
    pollfd waited{fd_, POLLIN, 0};
    return ::poll(&waited, 1, static_cast<int>(patience.count())) == 1;
  }

  const int fd_;
  bool refused_ = false;
};

constexpr auto kShort = 20ms;  // silence that is seen so long is taken for silence

}  // namespace

TEST_CASE("a proxy passes what is said, both ways, and counts it", "[proxy]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  const Client client{proxy}, other{proxy};
  CHECK(client.ask("one") == "one");
  CHECK(client.ask("two") == "two");
  const std::string much(1'000'000, 'x');
  CHECK(other.ask(much) == much);
  CHECK(proxy.connections() == 2);
  CHECK(proxy.open() == 2);
  CHECK(proxy.requests() >= 3);
  CHECK(proxy.replies() >= 3);
}

TEST_CASE("requests and replies are counted by who speaks, not by how much at a time", "[proxy]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  const Client client{proxy};
  for (int i = 1; i <= 5; ++i) {
    CHECK(client.ask("ping") == "ping");
    CHECK(proxy.requests() == i);
    CHECK(proxy.replies() == i);
  }
  proxy.hold(true);
  client.say("a");
  CHECK(client.hear(1, kShort) == "(silence)");
  CHECK(support::becomes([&] { return proxy.requests() == 6; }));
}

TEST_CASE("what is said in pieces before there is a reply is one request", "[proxy]") {
  FakeServer server{[](int fd, const std::string& heard) { return !heard.ends_with('.') || FakeServer::say(fd, "yes"); }};
  Proxy proxy{server.port()};
  const Client client{proxy};
  for (const char* piece : {"one", " request", "."}) {
    const std::size_t before = server.heard();
    client.say(piece);
    while (server.heard() == before) std::this_thread::yield();
  }
  CHECK(client.hear(3) == "yes");
  CHECK(proxy.requests() == 1);
  CHECK(proxy.replies() == 1);
}

TEST_CASE("a cut ends the connections there are, and no later ones", "[proxy]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  const Client first{proxy};
  CHECK(first.ask("x") == "x");
  proxy.cut();
  CHECK(proxy.open() == 0);
  CHECK(first.hear(1) == "(end)");
  const Client second{proxy};
  CHECK(second.ask("y") == "y");
  proxy.cut(Proxy::Cut::reset);
  CHECK(second.hear(1) == "(reset)");
  CHECK(Client{proxy}.ask("z") == "z");
}

TEST_CASE("a shut port refuses, and opens again", "[proxy]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  const Client before{proxy};
  CHECK(before.ask("x") == "x");
  for (int i = 0; i < 3; ++i) {
    proxy.refuse(true);
    CHECK(Client{proxy}.refused());
    CHECK(before.ask("y") == "y");
    proxy.refuse(false);
    CHECK(Client{proxy}.ask("z") == "z");
  }
}

TEST_CASE("a port that is shut is shut for a forked child's copy, too, and so is a cut", "[proxy][process]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  const Client client{proxy};
  CHECK(client.ask("x") == "x");
  support::Child child{[]() -> int { support::Child::sleep(); }};
  proxy.cut();
  CHECK(client.hear(1) == "(end)");
  proxy.refuse(true);
  CHECK(Client{proxy}.refused());
}

TEST_CASE("a black hole accepts, and says nothing until it is none", "[proxy]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  const Client old{proxy};
  CHECK(old.ask("x") == "x");
  proxy.blackhole(true);
  const Client fresh{proxy};
  CHECK_FALSE(fresh.refused());
  old.say("old");
  fresh.say("fresh");
  CHECK(old.hear(3, kShort) == "(silence)");
  CHECK(fresh.hear(5, kShort) == "(silence)");
  CHECK(server.heard() == 1);
  proxy.blackhole(false);
  CHECK(old.hear(3) == "old");
  CHECK(fresh.hear(5) == "fresh");
}

TEST_CASE("a reply that is delayed comes no earlier, and the request has come at once", "[proxy]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  const Client client{proxy};
  proxy.delay(50ms);
  const auto before = std::chrono::steady_clock::now();
  CHECK(client.ask("late") == "late");
  CHECK(std::chrono::steady_clock::now() - before >= 50ms);
  proxy.delay(0ms);
  CHECK(client.ask("x") == "x");
}

TEST_CASE("replies that are held come when they are let go, and not before", "[proxy]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  const Client client{proxy};
  proxy.hold(true);
  client.say("held");
  CHECK(client.hear(4, kShort) == "(silence)");
  CHECK(support::becomes([&] { return server.heard() == 4; }));
  proxy.hold(false);
  CHECK(client.hear(4) == "held");
}

TEST_CASE("a throttled connection gives every byte, one at a time", "[proxy]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  const Client client{proxy};
  proxy.throttle(1ms);
  const auto before = std::chrono::steady_clock::now();
  CHECK(client.ask("a byte at a time") == "a byte at a time");
  CHECK(std::chrono::steady_clock::now() - before >= 15ms);  // the gaps between sixteen
}

TEST_CASE("the reply to the n-th request is lost after the request was carried out, for every n", "[proxy]") {
  for (int n = 1; n <= 4; ++n) {
    FakeServer server = echo();
    Proxy proxy{server.port()};
    std::optional<Client> client{std::in_place, proxy};
    CHECK(client->ask("0") == "0");
    proxy.lose_reply(n);
    for (int i = 1; i < n; ++i) CHECK(client->ask("x") == "x");
    CHECK(client->ask("lost") == "(end)");
    CHECK(server.heard() == static_cast<std::size_t>(1 + (n - 1) + 4));
    CHECK(proxy.lost() == 1);
    client.emplace(proxy);
    for (int i = 0; i < 5; ++i) CHECK(client->ask("y") == "y");
    CHECK(proxy.lost() == 1);
  }
}

TEST_CASE("the n-th request is lost before the server hears of it", "[proxy]") {
  for (int n = 1; n <= 3; ++n) {
    FakeServer server = echo();
    Proxy proxy{server.port()};
    const Client client{proxy};
    proxy.lose_request(n);
    for (int i = 1; i < n; ++i) CHECK(client.ask("x") == "x");
    CHECK(client.ask("lost") == "(end)");
    CHECK(server.heard() == static_cast<std::size_t>(n - 1));
  }
}

TEST_CASE("healed, a proxy is as it was made", "[proxy]") {
  FakeServer server = echo();
  Proxy proxy{server.port()};
  proxy.refuse(true);
  proxy.blackhole(true);
  proxy.hold(true);
  proxy.delay(1h);
  proxy.throttle(1h);
  proxy.lose_reply(1);
  proxy.lose_request(1);
  proxy.heal();
  const Client client{proxy};
  CHECK(client.ask("well") == "well");
  CHECK(proxy.lost() == 0);
}

TEST_CASE("a server that is away ends its clients' connections", "[proxy]") {
  Proxy proxy{support::free_port()};
  CHECK(Client{proxy}.hear(1) == "(reset)");
}
