// SPDX-License-Identifier: MIT
#include "addons/common/socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "addons/common/failure.hpp"
#include "addons/common/resolve.hpp"

namespace sherlock::addons {
namespace {

std::error_code error(int number) { return {number, std::generic_category()}; }

[[noreturn]] void fail(Errc code, const std::string& what, int number) {
  throw Failure{code, what + ": " + error(number).message(), error(number)};
}

// Whether `events` came, before the deadline.
bool wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    pollfd polled{fd, events, 0};
    const int ready = ::poll(&polled, 1, deadline.wait_ms());
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) fail(Errc::system, "poll", errno);
    if (ready == 0 && deadline.passed()) return false;
  }
}

// 0, or the errno of why not; ETIMEDOUT at the deadline.
int connected(int fd, const sockaddr* address, socklen_t length, Deadline deadline) {
  if (::connect(fd, address, length) == 0) return 0;
  // A socket of the host says EAGAIN when the server's queue is full, and does not go on by itself.
  if (errno != EINPROGRESS) return errno;
  if (!wait_for(fd, POLLOUT, deadline)) return ETIMEDOUT;
  int outcome = 0;
  socklen_t size = sizeof outcome;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &outcome, &size);
  return outcome;
}

int open_socket(int family) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail(Errc::system, errno == EMFILE ? "out of descriptors: raise `ulimit -n`" : "socket", errno);
  return fd;
}

[[noreturn]] void refuse(int why) {
  if (why == ETIMEDOUT || why == EAGAIN) throw Failure{Errc::busy, "no answer in time; is the address right, and nothing in the way?", error(ETIMEDOUT)};
  const bool nobody = why == ECONNREFUSED || why == ENOENT;
  throw Failure{Errc::unavailable, error(why).message() + (nobody ? "; is the server running?" : ""), error(why)};
}

}  // namespace

Socket::Socket(const Url& url, int port, Deadline deadline) {
  if (url.is_socket()) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    if (url.path.size() >= sizeof address.sun_path) refuse(ENAMETOOLONG);
    std::memcpy(address.sun_path, url.path.c_str(), url.path.size());
    fd_ = open_socket(AF_UNIX);
    const int why = connected(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
    if (why == 0) return;
    close();
    refuse(why);
  }

  const Addresses addresses = resolve(url, port, deadline);
  std::size_t left = addresses.size();
  int why = 0;
  for (const Address& address : addresses) {
    // An address that swallows everything leaves the others their share.
    const Deadline share = Deadline::in(deadline.left() / static_cast<long>(left--));
    fd_ = open_socket(address.data.ss_family);
    why = connected(fd_, reinterpret_cast<const sockaddr*>(&address.data), address.length, share);
    if (why == 0) {
      const int yes = 1;
      ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      ::setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
      return;
    }
    close();
  }
  refuse(why);
}

Socket::Socket(Socket&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}

void Socket::close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Socket::abandon() noexcept {
  forget_unsent(fd_);
  close();
}

void forget_unsent(int fd) noexcept {
  constexpr linger kReset{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &kReset, sizeof kReset);
}

void Socket::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0)
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    else if (errno == EAGAIN) {
      if (!wait_for(fd_, POLLOUT, deadline)) throw Failure{Errc::busy, "it takes no request in time"};
    } else if (errno != EINTR)
      throw Broken{Errc::unavailable, "the connection broke: " + error(errno).message(), error(errno)};
  }
}

Socket::Came Socket::receive(char* to, std::size_t size, std::size_t& count, Deadline deadline, int wake) {
  for (;;) {
    pollfd polled[2] = {{fd_, POLLIN, 0}, {wake, POLLIN, 0}};
    const int ready = ::poll(polled, wake >= 0 ? 2 : 1, deadline.wait_ms());
    if (ready < 0 && errno != EINTR) fail(Errc::system, "poll", errno);
    if (ready == 0 && deadline.passed()) return Came::nothing;
    if (ready <= 0) continue;
    if (wake >= 0 && polled[1].revents) return Came::woken;
    const ssize_t got = ::recv(fd_, to, size, 0);
    if (got > 0) {
      count = static_cast<std::size_t>(got);
      return Came::bytes;
    }
    if (got == 0) throw Broken{Errc::unavailable, "it closed the connection"};
    if (errno != EAGAIN && errno != EINTR) throw Broken{Errc::unavailable, "the connection broke: " + error(errno).message(), error(errno)};
  }
}

}  // namespace sherlock::addons
