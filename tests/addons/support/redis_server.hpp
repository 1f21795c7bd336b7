// SPDX-License-Identifier: MIT
// A real Redis server of the test's own: in a temporary directory, on a socket there, and on a loopback port if asked. Nothing is saved, and it ends with
// the object, or with the test.
//
//   REQUIRE_SERVER(RedisServer);            // or prints "skipped: ...", and leaves the test
//   RedisServer server;
//   RedisLock lock{"x", {}, server.url()};
#pragma once

#include <string>
#include <vector>

#include "support/server.hpp"

namespace support {

class RedisServer : public Server {
 public:
  static constexpr const char* program = "redis-server";

  enum class On { socket, port };
  explicit RedisServer(On on = On::socket, std::vector<std::string> more = {}) : port_{on == On::port ? free_port() : 0}, more_{std::move(more)} { start(); }

  // Of a server that kill() has ended: a new one on the same place, which knows nothing.
  void start() {
    std::vector<std::string> argv{program,       "--port",      std::to_string(port_),        "--bind",      "127.0.0.1", "--unixsocket", socket(),
                                  "--save",      "",            "--appendonly",               "no",          "--dir",     directory().path(), "--daemonize", "no"};
    argv.insert(argv.end(), more_.begin(), more_.end());
    launch(argv);
    wait_until([this] { return port_ ? accepts(port_) : accepts(socket()); });
  }

  std::string socket() const { return directory() / "redis.sock"; }
  int port() const { return port_; }
  std::string url(const std::string& options = {}) const {
    return (port_ ? "redis://127.0.0.1:" + std::to_string(port_) : "redis+unix://" + socket()) + (options.empty() ? "" : '?' + options);
  }
  // What redis-cli prints.
  std::string cli(std::vector<std::string> words) const {
    words.insert(words.begin(), {"redis-cli", "-s", socket()});
    std::string said = run(words).out;
    if (said.ends_with('\n')) said.pop_back();
    return said;
  }

 private:
  const int port_;
  const std::vector<std::string> more_;
};

}  // namespace support
