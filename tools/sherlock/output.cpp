// SPDX-License-Identifier: MIT
#include "output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "text.hpp"

namespace sherlock::cli {
namespace {

bool stdout_was_closed = false;

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(done));
    } else if (errno == EAGAIN) {  // a shell may have left the terminal non-blocking
      pollfd ready{fd, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

void open_closed_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    if (fd == STDOUT_FILENO) stdout_was_closed = true;
    const int opened = ::open("/dev/null", O_RDWR | O_CLOEXEC);  // the lowest free number, which is this one; a command finds it closed, as we did
    if (opened > STDERR_FILENO) ::close(opened);
  }
}

void print(std::string_view result) {
  const int error = stdout_was_closed ? EBADF : write_all(STDOUT_FILENO, result);
  if (error) throw OutputError{fmt::format("cannot write the result to stdout: {}", std::strerror(error))};
}

void complain(std::string_view text) { write_to_stderr("sherlock: " + escape(text) + "\n"); }

void write_to_stderr(std::string_view bytes) { write_all(STDERR_FILENO, bytes); }

}  // namespace sherlock::cli
