// SPDX-License-Identifier: MIT
// Random faults between a holder, a rival and a real etcd. `etcd_faults --faults 500` is the long run.
#include "addons/faults.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <sherlock/addons/etcd_lock.hpp>

#include "addons/support/etcd_server.hpp"

int main(int argc, char** argv) {
  using support::EtcdServer;
  REQUIRE_SERVER_OR(EtcdServer, 0);
  EtcdServer server;
  return support::faults_main(argc, argv,
                              {.name = "etcd",
                               .make_lock = [](const std::string& client, std::string name, sherlock::Options options) -> std::unique_ptr<sherlock::BaseLock> {
                                 return std::make_unique<sherlock::EtcdLock>(std::move(name), std::move(options), client);
                               },
                               .direct = server.url(),
                               .through = [](int port) { return "http://127.0.0.1:" + std::to_string(port); },
                               .server = server.port(),
                               .stop = [&] { server.stop(); },
                               .resume = [&] { server.resume(); },
                               .kill = [&] { server.kill(); },
                               .restart = [&] { server.start(); },
                               .forgets = false});
}
