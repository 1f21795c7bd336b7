// SPDX-License-Identifier: MIT
// An Elasticsearch for a test: the real one whose URL is in SHERLOCK_TEST_ELASTICSEARCH, or else a fake of the test's own on loopback, because Debian has no real
// one. Every object is an index of its own, which is deleted in the end. What only the fake can do (faults, to be stopped) is skipped, aloud, with a real one.
//
//   REQUIRE_SERVER(ElasticsearchServer);
//   ElasticsearchServer server;
//   REQUIRE_FAKE(server);                   // or prints "skipped: ...", and leaves the test
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "addons/common/failure.hpp"
#include "addons/common/http.hpp"
#include "support/server.hpp"

namespace support {

#define REQUIRE_FAKE(server) REQUIRE_FAKE_OR(server, )
#define REQUIRE_FAKE_OR(server, code)                                                                                     \
  if (!(server).is_fake()) {                                                                                              \
    std::printf("skipped: what this needs the fake server does, and SHERLOCK_TEST_ELASTICSEARCH names a real one\n"); \
    return code;                                                                                                          \
  }

class ElasticsearchServer : public Server {
 public:
  static constexpr const char* program = "python3";  // of the fake

  // The fake wants this user and password, as "user:password", and speaks TLS with that certificate, a file.
  explicit ElasticsearchServer(std::string secret = {}, std::string certificate = {}) : secret_{std::move(secret)}, certificate_{std::move(certificate)} {
    const char* const real = std::getenv("SHERLOCK_TEST_ELASTICSEARCH");
    if (real && *real) real_ = real;
    static const bool said = [&] { return std::printf("elasticsearch: %s\n", real_.empty() ? kFakeIs : "the real server of SHERLOCK_TEST_ELASTICSEARCH") > 0; }();
    static_cast<void>(said);
    if (is_fake()) start();
  }
  ~ElasticsearchServer() {
    if (!is_fake()) ask("DELETE", "");
  }

  // Of a fake that kill() has ended: a new one on the same place, which knows nothing.
  void start() {
    std::vector<std::string> argv{program, SHERLOCK_TEST_FAKE_ELASTICSEARCH, std::to_string(port_)};
    if (!secret_.empty()) argv.push_back(secret_);
    if (!certificate_.empty()) argv.push_back(certificate_);
    launch(argv);
    wait_until([this] { return accepts(port_); });
  }

  bool is_fake() const { return real_.empty(); }
  int port() const { return port_; }
  const std::string& index() const { return index_; }
  std::string url() const { return url_of(index_); }
  std::string url_of(const std::string& index) const {
    if (is_fake()) return "http://" + (secret_.empty() ? "" : secret_ + '@') + "127.0.0.1:" + std::to_string(port_) + '/' + index;
    const auto query = real_.find('?'), path = real_.find('/', real_.find("://") + 3);
    return real_.substr(0, std::min(path, query)) + '/' + index + (query == std::string::npos ? "" : real_.substr(query));
  }

  // What the server answers to a request of the test's own; `path` is below the index.
  nlohmann::json ask(const char* method, const std::string& path, const nlohmann::json& body = {}) const {
    return ask_at(method, '/' + index_ + path, body);
  }
  nlohmann::json document(const std::string& key) const { return ask("GET", "/_doc/" + key)["_source"]; }

  // Of the fake: see fake_server.
  void plan(const nlohmann::json& fault) const { ask_at("POST", "/_fake", fault); }
  void forget_plans() const { plan(nlohmann::json::object()); }
  int requests() const {
    const nlohmann::json counts = ask_at("GET", "/_fake", {});
    int all = -counts.value("faults", 0);
    for (const auto& count : counts) all += count.get<int>();
    return all;
  }
  int faults() const { return ask_at("GET", "/_fake", {}).value("faults", 0); }

 private:
  static constexpr const char* kFakeIs =
      "tested against a fake on loopback, not against the real server; SHERLOCK_TEST_ELASTICSEARCH=URL makes it the real one";

  nlohmann::json ask_at(const char* method, const std::string& path, const nlohmann::json& body) const {
    sherlock::addons::Http http{sherlock::addons::parse_url(url(), {"http", "https"}, "elasticsearch"), 9200, "elasticsearch"};
    const auto answer = http.ask(method, path, body.is_null() ? "" : body.dump(), sherlock::addons::Deadline::in(std::chrono::seconds{30}));
    return nlohmann::json::parse(answer.body);
  }

  const std::string secret_, certificate_;
  std::string real_;
  const int port_ = free_port();
  const std::string index_ = "sherlock-test-" + std::to_string(::getpid()) + '-' + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
};

}  // namespace support
