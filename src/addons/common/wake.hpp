// SPDX-License-Identifier: MIT
// A request to stop as something that poll() can see.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <stop_token>
#include <system_error>

namespace sherlock::addons {

class Wake {
 public:
  explicit Wake(const std::stop_token& stop) : fd_{stop.stop_possible() ? ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1}, told_{stop, Tell{fd_}} {
    if (fd_ < 0 && stop.stop_possible()) throw std::system_error{errno, std::generic_category(), "eventfd"};
  }
  ~Wake() {
    if (fd_ >= 0) closing_ = fd_;
  }
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  // Can be read once a stop is requested; -1 where none can be.
  int fd() const { return fd_; }

 private:
  struct Tell {
    int fd;
    void operator()() const noexcept {
      const std::uint64_t one = 1;
      if (fd >= 0) [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
    }
  };
  // Closed after the callback is gone, which may be running: members end in reverse order.
  struct Closing {
    int fd = -1;
    void operator=(int closed) { fd = closed; }
    ~Closing() {
      if (fd >= 0) ::close(fd);
    }
  };

  Closing closing_;
  const int fd_;
  std::stop_callback<Tell> told_;
};

}  // namespace sherlock::addons
