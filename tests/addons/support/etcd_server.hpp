// SPDX-License-Identifier: MIT
// A real etcd of the test's own, a cluster of one: in a temporary directory, on loopback ports, and it ends with the object, or with the test.
//
//   REQUIRE_SERVER(EtcdServer);            // or prints "skipped: ...", and leaves the test
//   EtcdServer server;
//   EtcdLock lock{"x", {}, server.url()};
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/server.hpp"

namespace support {

class EtcdServer : public Server {
 public:
  static constexpr const char* program = "etcd";

  // TLS: with that certificate and key (files) on its clients' port.
  struct Tls {
    std::string certificate, key;
  };
  explicit EtcdServer(Tls tls = {}) : tls_{std::move(tls)} { start(); }

  // Of a server that kill() has ended: a new one on the same place, which knows what it knew.
  void start() {
    const std::string peers = "http://127.0.0.1:" + std::to_string(peer_port_), clients = url();
    std::vector<std::string> argv{program, "--data-dir", data(), "--listen-client-urls", clients, "--advertise-client-urls", clients,
                                  "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "default=" + peers};
    if (!tls_.certificate.empty()) argv.insert(argv.end(), {"--cert-file", tls_.certificate, "--key-file", tls_.key});
    launch(argv);
    wait_until([this] {
      if (!accepts(port_)) return false;
      const std::string said = ctl({"endpoint", "health"});
      return said.find("is healthy") != std::string::npos || said.find("user name is empty") != std::string::npos;
    });
  }
  // And one that knows nothing.
  void start_empty() {
    std::filesystem::remove_all(data());
    start();
  }

  int port() const { return port_; }
  std::string url() const { return (tls_.certificate.empty() ? "http://127.0.0.1:" : "https://127.0.0.1:") + std::to_string(port_); }

  // What etcdctl prints.
  std::string ctl(std::vector<std::string> words) const {
    words.insert(words.begin(), {"env", "ETCDCTL_API=3", "etcdctl", "--endpoints", url()});
    if (!tls_.certificate.empty()) words.insert(words.end(), {"--cacert", tls_.certificate});
    const auto ran = run(words);
    std::string said = ran.out + ran.err;
    if (said.ends_with('\n')) said.pop_back();
    return said;
  }
  // Of a key, or nothing.
  std::string get(const std::string& key) const { return ctl({"get", "--print-value-only", key}); }

 private:
  std::string data() const { return directory() / "data"; }

  const Tls tls_;
  const int port_ = free_port(), peer_port_ = free_port();
};

}  // namespace support
