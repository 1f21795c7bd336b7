// SPDX-License-Identifier: MIT
// A child of a fork has its parent's connections, and leaves them alone: what the locks of every add-on do then. The server must be at a port.
#pragma once

#include <linux/tcp.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <sherlock/duration.hpp>

#include "addons/support/server.hpp"
#include "catch.hpp"
#include "local/together.hpp"
#include "support/subprocess.hpp"

namespace support {

// What the kernel has sent on all our connections to that port, whichever process wrote it.
inline std::uint64_t bytes_sent_to(int port) {
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

// `retry`: the retry_interval of a waiter. Long, so that it waits in the way of its backend and no other.
template <class Lock>
void forked_child_has_connections_of_its_own(const std::string& url, int port, sherlock::Duration retry = std::chrono::hours{1}) {
  Lock held{"held", {}, url}, free{"free", {}, url}, spare{"spare", {}, url};
  held.acquire();
  spare.acquire();
  spare.release();  // what it keeps for its next hold is no child's
  const auto before = bytes_sent_to(port);
  REQUIRE(before > 0);
  Child child{[&] {
    if (held.held() || held.try_acquire()) return 1;
    if (!free.try_acquire()) return 2;
    free.release();
    {
      Lock own{"own", {}, url};
      own.acquire();
      Lock waiter{"held", {.retry_interval = retry}, url};
      if (waiter.try_acquire_for(std::chrono::milliseconds{50})) return 3;
    }
    if (!spare.try_acquire()) return 4;
    spare.release();
    std::exit(0);  // with every destructor of the program
  }};
  CHECK(child.wait() == Exit{0, 0});
  CHECK(bytes_sent_to(port) == before);
  CHECK(held.renew());
  CHECK(free.try_acquire());
  CHECK(spare.try_acquire());
  CHECK(spare.renew());
  held.release();
}

template <class Lock>
void children_forked_among_threads_can_lock(const std::string& url) {
  // LLVM 18 and 19 are the first whose sanitizers hold their allocator over a fork (pull requests 75290 and 96600).
  if (playground::kSanitized) return playground::skip("a sanitizer may leave its allocator locked in a child that was forked beside other threads");
  const auto pair = [](Lock& lock) {
    lock.acquire();
    lock.release();
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&](const std::stop_token& stop) {
      Lock lock{"x", {.timeout = std::chrono::seconds{20}}, url};
      while (!stop.stop_requested()) pair(lock);
    });
  for (int round = 0; round < 30; ++round) {
    Child child{[&] {
      Lock lock{"x", {.timeout = std::chrono::seconds{20}}, url};
      pair(lock);
      return 0;
    }};
    CHECK(child.wait() == Exit{0, 0});
  }
}

}  // namespace support
