// SPDX-License-Identifier: MIT
#include "conformance/channel.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <system_error>

namespace sherlock::conformance {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error{errno, std::generic_category(), what}; }

int above_the_standard_streams(int fd) {
  if (fd > 2) return fd;
  const int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  const int error = errno;
  close(fd);
  errno = error;
  return higher;
}

// A message is one packet: no backend's longest name comes near it.
constexpr std::size_t kLongest = 1 << 15;

}  // namespace

Channel::~Channel() {
  if (fd_ >= 0) close(fd_);
}

std::pair<Channel, Channel> Channel::pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
  std::pair<Channel, Channel> both{Channel{above_the_standard_streams(ends[0])}, Channel{above_the_standard_streams(ends[1])}};
  if (both.first.fd() < 0 || both.second.fd() < 0) fail("fcntl");
  return both;
}

Channel Channel::instead_of(int stream) {
  const int fd = fcntl(stream, F_DUPFD_CLOEXEC, 3);
  if (fd < 0) fail("the channel to the judge");
  Channel channel{fd};
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || dup2(null, stream) < 0) fail("/dev/null");
  if (null != stream) close(null);
  return channel;
}

bool Channel::send(const Message& message) const {
  std::string packet;
  for (const std::string& word : message) {
    const auto size = static_cast<std::uint32_t>(word.size());
    packet.append(reinterpret_cast<const char*>(&size), sizeof size);
    packet += word;
  }
  for (;;) {
    if (::send(fd_, packet.data(), std::min(packet.size(), kLongest), MSG_NOSIGNAL) >= 0) return true;
    if (errno == EPIPE || errno == ECONNRESET) return false;
    if (errno != EINTR) fail("send");
  }
}

std::optional<Message> Channel::receive() const {
  const auto packet = std::make_unique<std::array<char, kLongest>>();
  ssize_t size = 0;
  do size = recv(fd_, packet->data(), packet->size(), 0);
  while (size < 0 && errno == EINTR);
  if (size == 0 || (size < 0 && errno == ECONNRESET)) return std::nullopt;
  if (size < 0) fail("recv");

  Message message;
  const char *at = packet->data(), *const end = at + size;
  while (end - at >= static_cast<std::ptrdiff_t>(sizeof(std::uint32_t))) {
    std::uint32_t length = 0;
    std::memcpy(&length, at, sizeof length);
    at += sizeof length;
    message.emplace_back(at, std::min<std::size_t>(length, static_cast<std::size_t>(end - at)));
    at += message.back().size();
  }
  return message;
}

bool Channel::wait_for(std::chrono::nanoseconds patience) const {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    pollfd waited{fd_, POLLIN, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int ready = poll(&waited, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) fail("poll");
  }
}

}  // namespace sherlock::conformance
