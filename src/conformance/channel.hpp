// SPDX-License-Identifier: MIT
// What the judge and its peers say to each other: messages of a few strings, over a socket.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sherlock::conformance {

using Message = std::vector<std::string>;

// One end. Closed at exec.
class Channel {
 public:
  explicit Channel(int fd = -1) : fd_{fd} {}
  ~Channel();
  Channel(Channel&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Channel& operator=(Channel&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  // Two ends, neither of them where a program expects its standard streams.
  static std::pair<Channel, Channel> pair();
  // Takes over what was put in the place of a standard stream, for which /dev/null is put there.
  static Channel instead_of(int stream);

  int fd() const { return fd_; }
  // False: the other end is gone.
  bool send(const Message& message) const;
  // Nothing: the other end is gone. Waits for as long as it takes.
  std::optional<Message> receive() const;
  // Whether receive() would return by then.
  bool wait_for(std::chrono::nanoseconds patience) const;

 private:
  int fd_;
};

}  // namespace sherlock::conformance
