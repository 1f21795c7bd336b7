// SPDX-License-Identifier: MIT
#include <curl/curl.h>

#include <sherlock/addons/etcd_lock.hpp>

#include "addons/bench/addon_bench.hpp"
#include "addons/etcd/base64.hpp"
#include "addons/etcd/requests.hpp"
#include "addons/support/etcd_server.hpp"

namespace {

namespace etcd = sherlock::addons::etcd;

constexpr const char* kNote = R"({"host":"bench","label":"etcd_bench","name":"bare","pid":1234567,"program":"etcd_bench","since":1764064465000,"uid":1000})";

std::size_t take(const char* bytes, std::size_t, std::size_t count, void* body) {
  static_cast<std::string*>(body)->append(bytes, count);
  return count;
}

// libcurl, on one connection, and nothing that reads what it says.
class Bare {
 public:
  explicit Bare(std::string url) : url_{std::move(url)} {
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &take);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &said_);
  }
  ~Bare() { curl_easy_cleanup(curl_); }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;

  const std::string& ask(const char* path, const std::string& body) {
    said_.clear();
    curl_easy_setopt(curl_, CURLOPT_URL, (url_ + path).c_str());
    curl_easy_setopt(curl_, CURLOPT_COPYPOSTFIELDS, body.c_str());
    if (curl_easy_perform(curl_) != CURLE_OK) throw std::runtime_error{"the bare client failed"};
    return said_;
  }

 private:
  const std::string url_;
  std::string said_;
  CURL* const curl_ = curl_easy_init();
};

// "ID":"number"
std::string id_in(const std::string& said) {
  const auto from = said.find("\"ID\":\"") + 6;
  return said.substr(from, said.find('"', from) - from);
}

std::string text(const std::string& key) { return '"' + etcd::to_base64(key) + '"'; }

}  // namespace

int main(int argc, char** argv) {
  REQUIRE_SERVER_OR(support::EtcdServer, 0);
  const support::EtcdServer server;
  Bare bare{server.url()};
  const std::string lease = id_in(bare.ask("/v3/lease/grant", R"({"TTL":"67"})"));
  const std::string owner = text("sherlock/bare/owner"), note = text("sherlock/bare/note"), all = R"("key":)" + text("sherlock/bare/") + R"(,"range_end":)" + text("sherlock/bare0"),
                    token = text("0123456789abcdef0123456789abcdef"), facts = text(kNote);
  // The same transactions, in the same words.
  const std::string keep = R"({"ID":")" + lease + R"("})";
  const std::string noting = R"({"compare":[{"key":)" + note + R"(,"target":"CREATE","result":"GREATER","create_revision":"0"}],"success":[{"request_put":{"key":)" + note + R"(,"value":)" +
                             facts + R"(}}],"failure":[{"request_put":{"key":)" + note + R"(,"value":)" + facts + "}}]}";
  const std::string acquire = R"({"compare":[{"key":)" + owner + R"(,"target":"CREATE","result":"EQUAL","create_revision":"0"}],"success":[{"request_put":{"key":)" + owner + R"(,"value":)" + token +
                              R"(,"lease":")" + lease + R"("}},{"request_txn":)" + noting + R"(}],"failure":[{"request_range":{)" + all + "}}]}";
  const std::string release = R"({"compare":[{"key":)" + owner + R"(,"target":"VALUE","result":"EQUAL","value":)" + token + R"(}],"success":[{"request_delete_range":{)" + all +
                              R"(,"prev_kv":true}}],"failure":[{"request_range":{)" + all + "}}]}";
  return bench::run({.name = "etcd",
                     .bare_pair =
                         [&] {
                           bare.ask("/v3/lease/keepalive", keep);
                           if (bare.ask("/v3/kv/txn", acquire).find("succeeded") == std::string::npos || bare.ask("/v3/kv/txn", release).find("succeeded") == std::string::npos)
                             throw std::runtime_error{"the bare client was refused"};
                         },
                     .round_trip = [&] { bare.ask("/v3/kv/range", R"({"key":)" + owner + "}"); },
                     .make =
                         [&](const char* name) {
                           return std::make_unique<sherlock::EtcdLock>(name, sherlock::Options{.timeout = std::chrono::seconds{20}, .retry_interval = std::chrono::hours{1}}, server.url());
                         },
                     .counts_waiters = false},
                    argc, argv);
}
