// SPDX-License-Identifier: MIT
// Random faults between a holder, a rival and a real Redis server. `redis_faults --faults 500` is the long run.
#include "addons/faults.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <sherlock/addons/redis_lock.hpp>

#include "addons/support/redis_server.hpp"

int main(int argc, char** argv) {
  using support::RedisServer;
  if (!support::installed(RedisServer::program)) {
    std::printf("skipped: %s is not installed (tools/setup does it)\n", RedisServer::program);
    return 0;
  }
  RedisServer server;
  return support::faults_main(argc, argv,
                              {.name = "redis",
                               .make_lock = [](const std::string& client, std::string name, sherlock::Options options) -> std::unique_ptr<sherlock::BaseLock> {
                                 return std::make_unique<sherlock::RedisLock>(std::move(name), std::move(options), client);
                               },
                               .direct = server.url(),
                               .through = [](int port) { return "redis://127.0.0.1:" + std::to_string(port); },
                               .server = server.socket(),
                               .stop = [&] { server.stop(); },
                               .resume = [&] { server.resume(); },
                               .kill = [&] { server.kill(); },
                               .restart = [&] { server.start(); }});
}
