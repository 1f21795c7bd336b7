// SPDX-License-Identifier: MIT
// An address of loopback that swallows what comes: its queue of connections is full, so the kernel drops every further one without a word, as a
// firewall does.
#pragma once

#include <vector>

#include "addons/support/server.hpp"

namespace support {

class Blackhole {
 public:
  Blackhole() : listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in address = detail::loopback(0);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(listener_, 0) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
      throw std::runtime_error{"Blackhole"};
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 4; ++i) {
      fillers_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      static_cast<void>(::connect(fillers_.back(), reinterpret_cast<const sockaddr*>(&address), length));
    }
  }
  ~Blackhole() {
    for (const int fd : fillers_) ::close(fd);
    ::close(listener_);
  }
  Blackhole(const Blackhole&) = delete;
  Blackhole& operator=(const Blackhole&) = delete;

  int port() const { return port_; }

 private:
  const int listener_;
  int port_ = 0;
  std::vector<int> fillers_;
};

}  // namespace support
