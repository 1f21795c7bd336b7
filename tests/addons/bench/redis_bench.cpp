// SPDX-License-Identifier: MIT
#include <hiredis.h>

#include <sherlock/addons/redis_lock.hpp>

#include "addons/bench/addon_bench.hpp"
#include "addons/redis/scripts.hpp"
#include "addons/support/redis_server.hpp"

namespace {

namespace redis = sherlock::addons::redis;

constexpr const char* kNote = R"({"host":"bench","label":"redis_bench","name":"bare","pid":1234567,"program":"redis_bench","uid":1000})";

// The same scripts on the same kind of connection, through hiredis alone.
void run(redisContext* context, std::vector<std::string_view> words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> lengths;
  for (const std::string_view word : words) {
    texts.push_back(word.data());
    lengths.push_back(word.size());
  }
  void* const reply = redisCommandArgv(context, static_cast<int>(texts.size()), texts.data(), lengths.data());
  if (!reply || static_cast<redisReply*>(reply)->type == REDIS_REPLY_ERROR) throw std::runtime_error{"the bare client failed"};
  freeReplyObject(reply);
}

}  // namespace

int main(int argc, char** argv) {
  REQUIRE_SERVER_OR(support::RedisServer, 0);
  const support::RedisServer server;
  const std::unique_ptr<redisContext, decltype(&redisFree)> context{redisConnectUnix(server.socket().c_str()), &redisFree};
  for (const auto& script : {redis::kAcquire, redis::kRelease}) run(context.get(), {"SCRIPT", "LOAD", script.text});
  const std::string key = "sherlock:{bare}", past = key + ":past", owner = "0123456789abcdef0123456789abcdef";
  return bench::run({.name = "redis",
                     .bare_pair =
                         [&] {
                           run(context.get(), {"EVALSHA", redis::kAcquire.name.view(), "2", key, past, owner, "66667", kNote, "1764064465000", "604866667"});
                           run(context.get(), {"EVALSHA", redis::kRelease.name.view(), "2", key, past, owner, key, "604800000"});
                         },
                     .round_trip = [&] { run(context.get(), {"PING"}); },
                     .make =
                         [&](const char* name) {
                           return std::make_unique<sherlock::RedisLock>(name, sherlock::Options{.timeout = std::chrono::seconds{20}, .retry_interval = std::chrono::hours{1}},
                                                                        server.url());
                         }},
                    argc, argv);
}
