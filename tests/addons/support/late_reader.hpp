// SPDX-License-Identifier: MIT
// A server of loopback that takes what comes and reads it when told: what a client that gave up has left there, and how.
#pragma once

#include <poll.h>

#include "addons/support/server.hpp"

namespace support {

class LateReader {
 public:
  LateReader() : listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in address = detail::loopback(0);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0 || ::listen(listener_, 100) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
      throw std::runtime_error{"LateReader"};
    port_ = ntohs(address.sin_port);
  }
  ~LateReader() { ::close(listener_); }
  LateReader(const LateReader&) = delete;
  LateReader& operator=(const LateReader&) = delete;

  int port() const { return port_; }

  enum class End { closed, reset, open };
  // Of the first connection that was not asked for yet: how its client ended it. A reset is what drops everything that is still on its way.
  End end() {
    pollfd coming{listener_, POLLIN, 0};
    if (::poll(&coming, 1, 20'000) != 1) return End::open;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    End end = End::open;
    pollfd polled{fd, POLLIN, 0};
    for (char bytes[4096]; end == End::open && ::poll(&polled, 1, 5000) == 1;) {
      const ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
      if (got <= 0) end = got == 0 ? End::closed : End::reset;
    }
    ::close(fd);
    return end;
  }

 private:
  const int listener_;
  int port_ = 0;
};

}  // namespace support
