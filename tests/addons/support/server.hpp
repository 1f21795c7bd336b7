// SPDX-License-Identifier: MIT
// A real server as a child of the test: started, stopped, killed, started again, and never left behind. A fault proxy can be put in front of it:
// tests/addons/support is the place for it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/program.hpp"
#include "support/temp_dir.hpp"

namespace support {

// Leaves the test case, aloud, where the server's program is not installed.
#define REQUIRE_SERVER(Server) REQUIRE_SERVER_OR(Server, )
#define REQUIRE_SERVER_OR(Server, code)                                                    \
  if (!support::installed(Server::program)) {                                              \
    std::printf("skipped: %s is not installed (tools/setup does it)\n", Server::program); \
    return code;                                                                           \
  }

inline bool installed(const std::string& program) {
  std::string path = std::getenv("PATH") ? std::getenv("PATH") : "";
  path += ":/usr/sbin:/usr/lib/postgresql/15/bin";
  for (std::size_t from = 0, to; from <= path.size(); from = to + 1) {
    to = std::min(path.find(':', from), path.size());
    if (::access((path.substr(from, to - from) + '/' + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

namespace detail {

inline bool connects(int family, const sockaddr* address, socklen_t length) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = ::connect(fd, address, length) == 0;
  ::close(fd);
  return connected;
}

inline sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

}  // namespace detail

// Whether somebody listens there.
inline bool accepts(int port) {
  const sockaddr_in address = detail::loopback(port);
  return detail::connects(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}
inline bool accepts(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  return detail::connects(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// A port of loopback that nobody has just now.
inline int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = detail::loopback(0);
  socklen_t length = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error{"no free port"};
  return ntohs(address.sin_port);
}

class Server {
 public:
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    if (::getpid() != maker_) return;
    kill();
  }

  pid_t pid() const { return process_->pid(); }
  // It accepts connections and answers nothing, until resume().
  void stop() { process_->stop(); }
  void resume() { process_->resume(); }
  void kill() {
    if (process_) process_->kill();
    process_.reset();
  }

 protected:
  Server() = default;

  // No alarm of a test's child ends it, but the death of the test does. `become` is called in it first.
  void launch(const std::vector<std::string>& argv, const std::function<void()>& become = {}) {
    process_ = std::make_unique<Child>([&] {
      ::alarm(0);
      if (become) become();
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int log = ::open((directory_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      const int nothing = ::open("/dev/null", O_RDONLY);
      if (::dup2(nothing, 0) < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) return kThrew;
      std::vector<char*> arguments;
      for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
      arguments.push_back(nullptr);
      ::execvp(arguments[0], arguments.data());
      return 127;
    });
  }

  template <class Ready>
  void wait_until(Ready ready) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!ready()) {
      if (!process_->running() || std::chrono::steady_clock::now() > deadline) throw std::runtime_error{"the server did not start: " + directory_.read("log")};
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }

  const TempDir& directory() const { return directory_; }
  Child& process() { return *process_; }
  bool launched() const { return process_ != nullptr; }

 private:
  TempDir directory_;
  std::unique_ptr<Child> process_;
  const pid_t maker_ = ::getpid();
};

}  // namespace support
