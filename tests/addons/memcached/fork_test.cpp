// SPDX-License-Identifier: MIT
// A child of a fork has its parent's connections, and leaves them alone.
#include <sherlock/addons/memcached_lock.hpp>

#include <linux/tcp.h>

#include <filesystem>
#include <thread>

#include "addons/support/memcached_server.hpp"
#include "catch.hpp"

using namespace std::chrono_literals;
using sherlock::MemcachedLock;
using support::MemcachedServer;

namespace {

// What the kernel has sent on all our connections to that port, whichever process wrote it.
std::uint64_t bytes_sent_to(int port) {
  std::uint64_t all = 0;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    const int fd = std::stoi(entry.path().filename());
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0 || peer.sin_family != AF_INET || ntohs(peer.sin_port) != port) continue;
    tcp_info info{};
    length = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0) all += info.tcpi_bytes_sent;
  }
  return all;
}

}  // namespace

TEST_CASE("a forked child sends nothing on its parent's connections, and uses its own", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server{MemcachedServer::On::port};
  MemcachedLock held{"held", {}, server.url()}, free{"free", {}, server.url()};
  held.acquire();
  const auto before = bytes_sent_to(server.port());
  REQUIRE(before > 0);
  support::Child child{[&] {
    if (held.held() || held.try_acquire()) return 1;
    if (!free.try_acquire()) return 2;
    free.release();
    {
      MemcachedLock own{"own", {}, server.url()};
      own.acquire();
      MemcachedLock waiter{"held", {.retry_interval = 10ms}, server.url()};
      if (waiter.try_acquire_for(50ms)) return 3;
    }
    std::exit(0);  // with every destructor of the program
  }};
  CHECK(child.wait() == support::Exit{0, 0});
  CHECK(bytes_sent_to(server.port()) == before);
  CHECK(held.renew());
  CHECK(free.try_acquire());
  held.release();
}

TEST_CASE("a child that was forked while threads lock, release and wait can do the same", "[process]") {
  REQUIRE_SERVER(MemcachedServer);
  const MemcachedServer server{MemcachedServer::On::port};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&](const std::stop_token& stop) {
      MemcachedLock lock{"x", {.timeout = 20s}, server.url()};
      while (!stop.stop_requested()) {
        lock.acquire();
        lock.release();
      }
    });
  for (int round = 0; round < 30; ++round) {
    support::Child child{[&] {
      MemcachedLock lock{"x", {.timeout = 20s}, server.url()};
      lock.acquire();
      lock.release();
      return 0;
    }};
    CHECK(child.wait() == support::Exit{0, 0});
  }
}
