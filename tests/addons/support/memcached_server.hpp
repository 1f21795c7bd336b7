// SPDX-License-Identifier: MIT
// A real memcached server of the test's own: on a socket in a temporary directory, or on a loopback port if asked. It ends with the object, or with the test.
//
//   REQUIRE_SERVER(MemcachedServer);        // or prints "skipped: ...", and leaves the test
//   MemcachedServer server;
//   MemcachedLock lock{"x", {}, server.url()};
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "addons/support/server.hpp"

namespace support {

class MemcachedServer : public Server {
 public:
  static constexpr const char* program = "memcached";

  enum class On { socket, port };
  explicit MemcachedServer(On on = On::socket, std::vector<std::string> more = {}) : port_{on == On::port ? free_port() : 0}, more_{std::move(more)} { start(); }

  // Of a server that kill() has ended: a new one on the same place, which knows nothing.
  void start() {
    std::vector<std::string> argv{program, "-u", "root", "-t", "2"};
    if (port_)
      argv.insert(argv.end(), {"-l", "127.0.0.1", "-p", std::to_string(port_), "-U", "0"});
    else
      argv.insert(argv.end(), {"-s", socket()});
    argv.insert(argv.end(), more_.begin(), more_.end());
    launch(argv);
    wait_until([this] { return port_ ? accepts(port_) : accepts(socket()); });
  }

  std::string socket() const { return directory() / "memcached.sock"; }
  int port() const { return port_; }
  std::string url() const { return port_ ? "memcached://127.0.0.1:" + std::to_string(port_) : "memcached+unix://" + socket(); }

  // What it says to a request of which the answer ends with `end`.
  std::string say(const std::string& request, std::string_view end) const {
    const int fd = ::socket(port_ ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in in = detail::loopback(port_);
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    std::strncpy(un.sun_path, socket().c_str(), sizeof un.sun_path - 1);
    const int connected = port_ ? ::connect(fd, reinterpret_cast<const sockaddr*>(&in), sizeof in) : ::connect(fd, reinterpret_cast<const sockaddr*>(&un), sizeof un);
    std::string said;
    char bytes[65536];
    if (connected == 0 && ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()))
      for (ssize_t got; !said.ends_with(end) && (got = ::recv(fd, bytes, sizeof bytes, 0)) > 0;) said.append(bytes, static_cast<std::size_t>(got));
    ::close(fd);
    return said;
  }
  void set(const std::string& key, const std::string& value) const { say("set " + key + " 0 0 " + std::to_string(value.size()) + "\r\n" + value + "\r\n", "\r\n"); }
  // Empty where there is none.
  std::string get(const std::string& key) const {
    const std::string said = say("get " + key + "\r\n", "END\r\n");
    const auto from = said.find("\r\n") + 2;
    return said.starts_with("VALUE") ? said.substr(from, said.size() - from - 7) : "";
  }
  // How many seconds are left until it forgets the item; -1: it does not, -2: there is none.
  long left(const std::string& key) const {
    const std::string said = say("mg " + key + " t\r\n", "\r\n");
    return said.starts_with("HD t") ? std::stol(said.substr(4)) : -2;
  }

 private:
  const int port_;
  const std::vector<std::string> more_;
};

}  // namespace support
