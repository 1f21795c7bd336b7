// SPDX-License-Identifier: MIT
#include "addons/common/http.hpp"

#include <signal.h>
#include <sys/un.h>

#include <atomic>
#include <thread>

#include "addons/common/failure.hpp"
#include "addons/common/wake.hpp"
#include "addons/support/blackhole.hpp"
#include "addons/support/fake_server.hpp"
#include "addons/support/late_reader.hpp"
#include "catch.hpp"
#include "support/becomes.hpp"
#include "support/says.hpp"
#include "support/temp_dir.hpp"

using namespace sherlock::addons;
using namespace std::chrono_literals;
using sherlock::Errc;
using support::FakeServer, support::says;

namespace {

Url url(const std::string& text) { return parse_url(text, {"http", "https", "http+unix"}, "test"); }
Url at(int port) { return url("http://me:hush@127.0.0.1:" + std::to_string(port)); }

std::string answer(const std::string& body) { return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body; }

std::string chunk(const std::string& text) {
  char size[16];
  std::snprintf(size, sizeof size, "%zx", text.size());
  return size + ("\r\n" + text + "\r\n");
}

template <class Ask>
Errc code_of(Ask ask) {
  try {
    ask();
  } catch (const Failure& e) {
    CHECK_THAT(e.what(), !says("hush"));
    return e.code();
  }
  FAIL("nothing was thrown");
  return {};
}

// Of this process's connections to that port: whether the other end has gone.
bool a_connection_has_ended(int port) {
  for (int fd = 3; fd < 1024; ++fd) {
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    char byte;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0 && ntohs(peer.sin_port) == port && ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a server is asked on one connection, with user and password unless the caller says otherwise") {
  std::atomic<int> connections{0}, basic{0}, others{0};
  const FakeServer server{[&](int fd, const std::string& heard) {
    if (heard.empty()) return ++connections > 0;
    basic += heard.find("Authorization: Basic bWU6aHVzaA==") != std::string::npos;
    others += heard.find("Authorization: token\r\n") != std::string::npos;
    return FakeServer::say(fd, answer("{}"));
  }};
  Http http{at(server.port()), 1, "test"}, bare{at(server.port()), 1, "test", Http::Login::by_caller};
  for (int i = 0; i < 3; ++i) CHECK(http.ask("POST", "/x", "{}", Deadline::in(10s)).body == "{}");
  CHECK(basic == 3);
  CHECK(connections == 1);
  bare.ask("POST", "/x", "{}", Deadline::in(10s));
  bare.ask("POST", "/x", "{}", Deadline::in(10s), 100, "token");
  bare.ask("GET", "/x", "", Deadline::in(10s));
  CHECK(basic == 3);
  CHECK(others == 1);
  CHECK(http.url().shown() == "http://me:***@127.0.0.1:" + std::to_string(server.port()));
}

TEST_CASE("who was asked twice is told from who has left while nobody asked") {
  std::atomic<int> asked{0};
  const FakeServer server{[&](int fd, const std::string& heard) {
    if (heard.empty()) return true;
    if (++asked == 2) return false;               // it heard the request, and says nothing
    return FakeServer::say(fd, answer("{}")) && asked != 3;  // it answers, and leaves
  }};
  Http http{at(server.port()), 1, "test"};
  CHECK_FALSE(http.ask("POST", "/", "{}", Deadline::in(10s)).repeated);
  CHECK(http.ask("POST", "/", "{}", Deadline::in(10s)).repeated);
  REQUIRE(support::becomes([&] { return a_connection_has_ended(server.port()); }));
  CHECK_FALSE(http.ask("POST", "/", "{}", Deadline::in(10s)).repeated);
  CHECK(asked == 4);
}

TEST_CASE("a server that ends the connection with every answer has asked nobody twice") {
  const FakeServer server{[](int fd, const std::string& heard) {
    return heard.empty() || (FakeServer::say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}") && false);
  }};
  Http http{at(server.port()), 1, "test"};
  for (int i = 0; i < 3; ++i) CHECK_FALSE(http.ask("POST", "/", "{}", Deadline::in(10s)).repeated);
}

TEST_CASE("nothing waits past the deadline, and no answer is longer than it may be") {
  const support::Blackhole blackhole;
  Http nowhere{at(blackhole.port()), 1, "test"};
  CHECK(code_of([&] { nowhere.ask("GET", "/", "", Deadline::in(200ms)); }) == Errc::busy);
  CHECK(code_of([&] { nowhere.ask("GET", "/", "", Deadline::in(0ms)); }) == Errc::busy);
  const FakeServer silent{[](int, const std::string&) { return true; }};
  Http deaf{at(silent.port()), 1, "test"};
  CHECK(code_of([&] { deaf.ask("GET", "/", "", Deadline::in(200ms)); }) == Errc::busy);
  const FakeServer chatty = FakeServer::saying(answer(std::string(1000, 'x')));
  Http bounded{at(chatty.port()), 1, "test"};
  CHECK(code_of([&] { bounded.ask("GET", "/", "", Deadline::in(10s), 999); }) == Errc::damaged);
  CHECK(bounded.ask("GET", "/", "", Deadline::in(10s), 1000).body.size() == 1000);
  Http nobody{at(support::free_port()), 1, "test"};
  CHECK(code_of([&] { nobody.ask("GET", "/", "", Deadline::in(10s)); }) == Errc::unavailable);
}

TEST_CASE("an answer that goes on comes line by line, until the deadline, a wake, or its end") {
  std::atomic<int> fd{-1};
  const FakeServer server{[&](int client, const std::string& heard) {
    if (heard.empty()) return true;
    fd = client;
    return FakeServer::say(client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("one\ntw") + chunk("o\n"));
  }};
  Http http{at(server.port()), 1, "test"};
  HttpStream stream{http, "POST", "/watch", "{}", Deadline::in(10s)};
  std::string line;
  CHECK(stream.next(line, Deadline::in(10s)) == HttpStream::Came::line);
  CHECK(line == "one");
  CHECK(stream.status() == 200);
  CHECK(stream.next(line, Deadline::in(10s)) == HttpStream::Came::line);
  CHECK(line == "two");
  CHECK(stream.next(line, Deadline::in(30ms)) == HttpStream::Came::nothing);
  std::stop_source stop;
  {
    const Wake wake{stop.get_token()};
    std::jthread soon{[&] { stop.request_stop(); }};
    CHECK(stream.next(line, Deadline::in(1h), wake.fd()) == HttpStream::Came::woken);
  }
  FakeServer::say(fd, chunk("three\n") + chunk("") );
  CHECK(stream.next(line, Deadline::in(10s)) == HttpStream::Came::line);
  CHECK(line == "three");
  CHECK_THROWS_AS(stream.next(line, Deadline::in(10s)), Broken);
}

TEST_CASE("a line that does not end is damage, and a stream nobody answers waits no longer than it may") {
  const FakeServer endless{[](int fd, const std::string& heard) {
    if (heard.empty()) return true;
    if (!FakeServer::say(fd, "HTTP/1.1 200 OK\r\n\r\n")) return false;
    while (FakeServer::say(fd, std::string(10000, 'x'))) {
    }
    return false;
  }};
  std::string line;
  Http http{at(endless.port()), 1, "test"};
  HttpStream stream{http, "POST", "/", "{}", Deadline::in(10s)};
  CHECK(code_of([&] { stream.next(line, Deadline::in(10s)); }) == Errc::damaged);
  const support::Blackhole blackhole;
  Http nowhere{at(blackhole.port()), 1, "test"};
  HttpStream lost{nowhere, "POST", "/", "{}", Deadline::in(10s)};
  CHECK(lost.next(line, Deadline::in(100ms)) == HttpStream::Came::nothing);
}

TEST_CASE("a socket of this host is spoken to like any other server") {
  const support::TempDir directory;
  const std::string path = directory / "server.sock";
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  std::jthread serves{[&] {
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    char bytes[4096];
    static_cast<void>(::recv(client, bytes, sizeof bytes, 0));
    FakeServer::say(client, answer("{\"a\":1}"));
    ::close(client);
  }};
  Http http{url("http+unix://" + path), 1, "test"};
  CHECK(http.ask("POST", "/x", "{}", Deadline::in(10s)).body == "{\"a\":1}");
  serves.join();
  ::close(listener);
  CHECK(code_of([&] { http.ask("POST", "/x", "{}", Deadline::in(10s)); }) == Errc::unavailable);
}

TEST_CASE("an IPv6 address is spoken to like any other") {
  const int listener = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  socklen_t length = sizeof address;
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    std::printf("skipped: this machine has no IPv6\n");
    ::close(listener);
    return;
  }
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  std::string heard;
  std::jthread serves{[&] {
    pollfd soon{listener, POLLIN, 0};
    if (::poll(&soon, 1, 10'000) <= 0) return;
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    char bytes[4096];
    heard.assign(bytes, static_cast<std::size_t>(std::max<ssize_t>(0, ::recv(client, bytes, sizeof bytes, 0))));
    FakeServer::say(client, answer("{}"));
    ::close(client);
  }};
  const std::string at = "[::1]:" + std::to_string(ntohs(address.sin6_port));
  Http http{url("http://" + at), 1, "test"};
  CHECK(http.ask("POST", "/x", "{}", Deadline::in(10s)).body == "{}");
  serves.join();
  CHECK_THAT(heard, says("Host: " + at));
  ::close(listener);
}

TEST_CASE("a request that had no answer in time is dropped on its way") {
  support::LateReader server;
  Http http{at(server.port()), 1, "test"};
  CHECK(code_of([&] { http.ask("POST", "/x", "{}", Deadline::in(1s)); }) == Errc::busy);
  CHECK(server.end() == support::LateReader::End::reset);
}
