// SPDX-License-Identifier: MIT
// Random faults between a holder, a rival and the fake of Elasticsearch. `elasticsearch_faults --faults 500` is the long run.
#include "addons/faults.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <sherlock/addons/elasticsearch_lock.hpp>

#include "addons/support/elasticsearch_server.hpp"

int main(int argc, char** argv) {
  using support::ElasticsearchServer;
  REQUIRE_SERVER_OR(ElasticsearchServer, 0);
  ElasticsearchServer server;
  REQUIRE_FAKE_OR(server, 0);
  return support::faults_main(argc, argv,
                              {.name = "elasticsearch",
                               .make_lock = [](const std::string& client, std::string name, sherlock::Options options) -> std::unique_ptr<sherlock::BaseLock> {
                                 return std::make_unique<sherlock::ElasticsearchLock>(std::move(name), std::move(options), client);
                               },
                               .direct = server.url(),
                               .through = [&](int port) { return "http://127.0.0.1:" + std::to_string(port) + '/' + server.index(); },
                               .server = server.port(),
                               .stop = [&] { server.stop(); },
                               .resume = [&] { server.resume(); },
                               .kill = [&] { server.kill(); },
                               .restart = [&] { server.start(); }});
}
