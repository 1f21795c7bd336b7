// SPDX-License-Identifier: MIT
// A stream socket to a server. Nothing waits past its deadline: not the resolver, not the connection, not a byte of an answer. No write raises SIGPIPE.
#pragma once

#include <cstddef>
#include <string_view>

#include "addons/common/deadline.hpp"
#include "addons/common/url.hpp"

namespace sherlock::addons {

class Socket {
 public:
  Socket() = default;
  // Failure (unavailable) where there is nobody, Failure (busy) where nobody answers in time. Neither names the server: that is for whoever knows why it is asked.
  // `port` is the one that a Url without a port means.
  Socket(const Url& url, int port, Deadline deadline);
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&&) = delete;

  int fd() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void close() noexcept;
  // Closes it so that the kernel forgets what it has not sent, or sent without an answer, which it would send again for minutes: a request that was given
  // up is not carried out when the network comes back. (What has arrived already is.)
  void abandon() noexcept;

  // Broken where the connection ended, Failure (busy) at the deadline.
  void send(std::string_view bytes, Deadline deadline);
  enum class Came { bytes, nothing, woken };
  // Some bytes, `size` of them at most, put at `to`; `count` says how many. `nothing` at the deadline; `woken` as soon as `wake` (a descriptor,
  // or -1) can be read. Broken where the connection ended.
  Came receive(char* to, std::size_t size, std::size_t& count, Deadline deadline, int wake = -1);

 private:
  int fd_ = -1;
};

// What abandon() does before it closes, for sockets of other libraries.
void forget_unsent(int fd) noexcept;

}  // namespace sherlock::addons
