// SPDX-License-Identifier: MIT
// Random faults between a holder, a rival and a real memcached server. `memcached_faults --faults 500` is the long run.
#include "addons/faults.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <sherlock/addons/memcached_lock.hpp>

#include "addons/support/memcached_server.hpp"

int main(int argc, char** argv) {
  using support::MemcachedServer;
  if (!support::installed(MemcachedServer::program)) {
    std::printf("skipped: %s is not installed (tools/setup does it)\n", MemcachedServer::program);
    return 0;
  }
  MemcachedServer server;
  return support::faults_main(argc, argv,
                              {.name = "memcached",
                               .make_lock = [](const std::string& client, std::string name, sherlock::Options options) -> std::unique_ptr<sherlock::BaseLock> {
                                 return std::make_unique<sherlock::MemcachedLock>(std::move(name), std::move(options), client);
                               },
                               .direct = server.url(),
                               .through = [](int port) { return "memcached://127.0.0.1:" + std::to_string(port); },
                               .server = server.socket(),
                               .stop = [&] { server.stop(); },
                               .resume = [&] { server.resume(); },
                               .kill = [&] { server.kill(); },
                               .restart = [&] { server.start(); }});
}
