// SPDX-License-Identifier: MIT
// Stands between a client and a server of loopback, and loses an answer when it is told to: the server has done what it was asked, and the client's
// connection breaks.
#pragma once

#include <poll.h>

#include <atomic>
#include <list>
#include <thread>
#include <vector>

#include "addons/support/server.hpp"

namespace support {

class LosingProxy {
 public:
  explicit LosingProxy(int server_port) : server_port_{server_port}, listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)} {
    sockaddr_in address = detail::loopback(0);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(listener_, 100) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
      throw std::runtime_error{"LosingProxy"};
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
  }
  ~LosingProxy() {
    thread_ = {};
    ::close(listener_);
  }
  LosingProxy(const LosingProxy&) = delete;
  LosingProxy& operator=(const LosingProxy&) = delete;

  int port() const { return port_; }
  // The n-th answer from now, counted from 0.
  void lose(int n) { until_loss_ = n + 1; }
  int lost() const { return lost_; }
  // All connections.
  void cut() { cut_ = true; }

 private:
  struct Pair {
    int client, server;
  };

  void run(const std::stop_token& stop) {
    std::list<Pair> pairs;
    while (!stop.stop_requested()) {
      std::vector<pollfd> all{{listener_, POLLIN, 0}};
      for (const Pair& pair : pairs) all.insert(all.end(), {{pair.client, POLLIN, 0}, {pair.server, POLLIN, 0}});
      ::poll(all.data(), all.size(), 5);
      const bool cut = cut_.exchange(false);
      std::size_t i = 1;
      for (auto pair = pairs.begin(); pair != pairs.end(); i += 2) {
        bool good = !cut;
        if (good && all[i].revents) good = pass(pair->client, pair->server);
        if (good && all[i + 1].revents) {
          const bool lose = until_loss_ > 0 && --until_loss_ == 0;
          if (lose) ++lost_;
          good = !lose && pass(pair->server, pair->client);
        }
        if (good) {
          ++pair;
          continue;
        }
        ::close(pair->client);
        ::close(pair->server);
        pair = pairs.erase(pair);
      }
      if (!all[0].revents) continue;
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = detail::loopback(server_port_);
      static_cast<void>(::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address));
      pairs.push_back({client, server});
    }
    for (const Pair& pair : pairs) {
      ::close(pair.client);
      ::close(pair.server);
    }
  }

  static bool pass(int from, int to) {
    char bytes[65536];
    const ssize_t got = ::recv(from, bytes, sizeof bytes, 0);
    return got > 0 && ::send(to, bytes, static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
  }

  const int server_port_;
  const int listener_;
  int port_ = 0;
  std::atomic<int> until_loss_{0}, lost_{0};
  std::atomic<bool> cut_{false};
  std::jthread thread_;
};

}  // namespace support
