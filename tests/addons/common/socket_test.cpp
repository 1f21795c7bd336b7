// SPDX-License-Identifier: MIT
#include "addons/common/socket.hpp"

#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "addons/common/failure.hpp"
#include "addons/common/wake.hpp"
#include "addons/support/blackhole.hpp"
#include "addons/support/fake_server.hpp"
#include "addons/support/late_reader.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace sherlock::addons;
using namespace std::chrono_literals;
using support::says;

namespace {

Url at(int port, const std::string& host = "127.0.0.1") { return parse_url("tcp://" + host + ":" + std::to_string(port), {"tcp"}, "test"); }

// What `ask` throws, and how long it took.
template <class Ask>
std::pair<sherlock::Errc, std::chrono::nanoseconds> fails(Ask ask) {
  const auto before = std::chrono::steady_clock::now();
  try {
    ask();
  } catch (const Failure& e) {
    return {e.code(), std::chrono::steady_clock::now() - before};
  }
  FAIL("nothing was thrown");
  return {};
}

}  // namespace

TEST_CASE("an address that swallows everything is given up at the deadline") {
  const support::Blackhole blackhole;
  const auto [code, took] = fails([&] { Socket{at(blackhole.port()), 1, Deadline::in(300ms)}; });
  CHECK(code == sherlock::Errc::busy);
  CHECK(took >= 300ms);
  CHECK(took < 10s);
}

TEST_CASE("an address where nobody listens is told at once") {
  CHECK(fails([] { Socket{at(support::free_port()), 1, Deadline::in(1h)}; }).first == sherlock::Errc::unavailable);
  const Url socket = parse_url("tcp+unix:///nowhere/socket", {"tcp+unix"}, "test");
  CHECK_THROWS_WITH((Socket{socket, 1, Deadline::in(1h)}), says("is the server running?"));
}

TEST_CASE("a name server that does not answer is given up") {
  // A real resolver, in a thread whose name server is a socket of ours that never says anything.
  const int silent = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = support::detail::loopback(0);
  socklen_t length = sizeof address;
  REQUIRE(::bind(silent, reinterpret_cast<const sockaddr*>(&address), length) == 0);
  REQUIRE(::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  std::jthread{[&] {
    res_ninit(&_res);
    _res.nscount = 1;
    _res.nsaddr_list[0] = address;
    const auto [code, took] = fails([] { Socket{at(1, "nobody.invalid."), 1, Deadline::in(1s)}; });
    CHECK(code == sherlock::Errc::busy);
    CHECK(took < 8s);  // by itself it would try for 10 s and more
    CHECK(_res.retry > 1);
    res_nclose(&_res);
  }};
  ::close(silent);
}

TEST_CASE("who waits for bytes is woken by a stop, before it or during it") {
  const support::FakeServer silent{[](int, const std::string&) { return true; }};
  Socket socket{at(silent.port()), 1, Deadline::in(1h)};
  char byte;
  std::size_t count = 0;
  std::stop_source stop;
  {
    const Wake wake{stop.get_token()};
    std::jthread soon{[&] { stop.request_stop(); }};
    CHECK(socket.receive(&byte, 1, count, Deadline::in(1h), wake.fd()) == Socket::Came::woken);
  }
  const Wake again{stop.get_token()};
  CHECK(socket.receive(&byte, 1, count, Deadline::in(1h), again.fd()) == Socket::Came::woken);
  CHECK(Wake{std::stop_token{}}.fd() == -1);
}

TEST_CASE("a write into a broken connection is an exception and no signal") {
  const support::FakeServer leaves{[](int, const std::string&) { return false; }};
  Socket socket{at(leaves.port()), 1, Deadline::in(1h)};
  char byte;
  std::size_t count = 0;
  CHECK_THROWS_AS(socket.receive(&byte, 1, count, Deadline::in(1h)), Broken);
  CHECK_THROWS_AS([&] { for (;;) socket.send("x", Deadline::in(1h)); }(), Broken);
}

TEST_CASE("a connection that is given up drops what is on its way, one that is closed does not") {
  support::LateReader server;
  Socket abandoned{at(server.port()), 1, Deadline::in(1h)}, closed{at(server.port()), 1, Deadline::in(1h)};
  abandoned.send("x", Deadline::in(1h));
  closed.send("x", Deadline::in(1h));
  abandoned.abandon();
  closed.close();
  CHECK_FALSE(abandoned.open());
  CHECK(server.end() == support::LateReader::End::reset);
  CHECK(server.end() == support::LateReader::End::closed);
}

TEST_CASE("a server that takes nothing more stops nobody") {
  const support::FakeServer deaf{[](int, const std::string&) { return true; }, support::FakeServer::deaf};
  Socket socket{at(deaf.port()), 1, Deadline::in(1h)};
  const std::string much(1 << 20, 'x');
  CHECK(fails([&] { for (;;) socket.send(much, Deadline::in(50ms)); }).first == sherlock::Errc::busy);
}
