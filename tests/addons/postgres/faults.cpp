// SPDX-License-Identifier: MIT
// Random faults between a holder, a rival and a real PostgreSQL server. `postgres_faults --faults 500` is the long run.
#include "addons/faults.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <sherlock/addons/postgres_lock.hpp>

#include "addons/support/postgres_server.hpp"

int main(int argc, char** argv) {
  using support::PostgresServer;
  if (!support::installed(PostgresServer::program)) {
    std::printf("skipped: %s is not installed (tools/setup does it)\n", PostgresServer::program);
    return 0;
  }
  PostgresServer server{PostgresServer::On::port};
  server.sql("CREATE ROLE locks LOGIN SUPERUSER PASSWORD 'x'");
  return support::faults_main(argc, argv,
                              {.name = "postgres",
                               .make_lock = [](const std::string& client, std::string name, sherlock::Options options) -> std::unique_ptr<sherlock::BaseLock> {
                                 return std::make_unique<sherlock::PostgresLock>(std::move(name), std::move(options), client);
                               },
                               .direct = server.url(),
                               .through = [](int port) { return "postgresql://locks:x@127.0.0.1:" + std::to_string(port) + "/postgres"; },
                               .server = server.port(),
                               .stop = [&] { server.stop(); },
                               .resume = [&] { server.resume(); },
                               .kill = [&] { server.kill(); },
                               .restart = [&] { server.start(); },
                               .forgets = false});
}
