// SPDX-License-Identifier: MIT
// Somebody who listens on a port of loopback and is no server: for bytes that a real one would never send. What a real one can do is tested with a real one.
#pragma once

#include <poll.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "addons/support/server.hpp"

namespace support {

class FakeServer {
 public:
  enum Hearing { hears, deaf };

  // `serve` is called for a new connection (`heard` is empty), and again whenever something was heard on it (unless it is deaf), in a thread of the
  // server's. False ends the connection.
  using Serve = std::function<bool(int fd, const std::string& heard)>;
  explicit FakeServer(Serve serve, Hearing hearing = hears)
      : serve_{std::move(serve)}, hearing_{hearing}, listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)} {
    sockaddr_in address = detail::loopback(0);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(listener_, 100) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
      throw std::runtime_error{"FakeServer"};
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
  }
  // One that answers everything with the same bytes.
  static FakeServer saying(std::string bytes) {
    return FakeServer{[bytes = std::move(bytes)](int fd, const std::string& heard) { return heard.empty() || say(fd, bytes); }};
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() {
    thread_ = {};
    ::close(listener_);
  }

  int port() const { return port_; }
  // Bytes that were heard, on all connections.
  std::size_t heard() const { return heard_; }

  static bool say(int fd, const std::string& bytes) {
    return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }

 private:
  void run(const std::stop_token& stop) {
    std::vector<pollfd> all{{listener_, POLLIN, 0}};
    while (!stop.stop_requested()) {
      if (::poll(all.data(), all.size(), 5) <= 0) continue;
      for (std::size_t i = all.size() - 1; i > 0; --i) {
        if (!all[i].revents) continue;
        char bytes[4096];
        const ssize_t got = ::recv(all[i].fd, bytes, sizeof bytes, 0);
        if (got > 0) heard_ += static_cast<std::size_t>(got);
        if (got > 0 && serve_(all[i].fd, {bytes, static_cast<std::size_t>(got)})) continue;
        ::close(all[i].fd);
        all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
      }
      if (!all[0].revents) continue;
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      if (!serve_(fd, {})) {
        ::close(fd);
        continue;
      }
      all.push_back({fd, static_cast<short>(hearing_ == hears ? POLLIN : 0), 0});
    }
    for (std::size_t i = 1; i < all.size(); ++i) ::close(all[i].fd);
  }

  const Serve serve_;
  const Hearing hearing_;
  const int listener_;
  int port_ = 0;
  std::atomic<std::size_t> heard_{0};
  std::jthread thread_;
};

}  // namespace support
