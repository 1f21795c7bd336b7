// SPDX-License-Identifier: MIT
#include "addons/redis/server.hpp"

#include <fmt/core.h>

#include <charconv>
#include <map>
#include <vector>

#include <sherlock/addons/redis_lock.hpp>

#include "addons/common/failure.hpp"

namespace sherlock::addons::redis {

namespace {

constexpr const char* kBackend = "redis";
constexpr int kMostBroken = 3;  // connections, fresh ones, in one request

int read_db(const Url& url, std::string_view digits) {
  int db = 0;
  const char* const end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, db);
  if (read.ec != std::errc{} || read.ptr != end || db < 0)
    throw ConfigurationException{fmt::format("\"{}\": the database is a number, as in redis://host/2", url.shown()), {}, kBackend};
  return db;
}

// A replica's answer, which did nothing. (Up to version 6 a script's error is told within another one.)
bool leads_astray(const redisReply& reply) {
  return is_error(reply, "READONLY") || is_error(reply, "MASTERDOWN") || is_error(reply, "LOADING") ||
         (is_error(reply, "ERR ") && std::string_view{reply.str, reply.len}.find("-READONLY ") != std::string_view::npos);
}

}  // namespace

std::shared_ptr<Server> Server::of(std::string_view url) {
  // Never destroyed: locks may be let go while the process exits.
  static auto* const servers = new std::map<std::string, std::shared_ptr<Server>, std::less<>>;
  const std::lock_guard guard{shared()};
  const auto found = servers->find(url);
  if (found != servers->end()) return found->second;
  return servers->emplace(url, std::make_shared<Server>(parse_url(url, {"redis", "redis+unix", "rediss"}, kBackend))).first->second;
}

Server::Server(Url url) : url_{std::move(url)} {
  const auto refuse = [this](const std::string& why) { throw ConfigurationException{fmt::format("\"{}\": {}", url_.shown(), why), {}, kBackend}; };
  if (url_.scheme == "rediss") refuse("this client library has no TLS: use redis:// through a tunnel (stunnel, ssh), or redis+unix://");
  if (url_.is_socket())
    db_ = read_db(url_, url_.take("db").value_or("0"));
  else if (url_.path.size() > 1)
    db_ = read_db(url_, std::string_view{url_.path}.substr(1));
  if (const auto keys = url_.take("keys")) {
    python_ = *keys == "python";
    if (!python_ && *keys != "sherlock") refuse("keys=python or keys=sherlock");
  }
  refuse_others(url_, url_.is_socket() ? "keys, db" : "keys", kBackend);
}

std::unique_ptr<Connection> Server::connect(Deadline deadline) const { return std::make_unique<Connection>(url_, db_, deadline); }

// What goes wrong at the server, with its address.
template <class Call>
auto Server::named(Call call) const -> decltype(call()) {
  try {
    return call();
  } catch (const Failure& e) {
    throw Failure{e.code(), fmt::format("{}: {}", url_.shown(), e.what()), e.cause()};
  }
}

// Whether it may be asked more on the connection of this reply. Where the name led to a primary once, it may lead to another one now, while the old one
// lives on as a replica: then all connections of before lead to that.
bool Server::is_good(const redisReply& reply) {
  if (leads_astray(reply)) {
    idle_.forget();
    listeners_.forget();
  }
  return reply.type != REDIS_REPLY_ERROR || is_error(reply, "NOSCRIPT");
}

Reply Server::answer(std::span<const std::string_view> words, Deadline deadline) {
  for (int broken = 0;;) {
    std::unique_ptr<Connection> connection = idle_.take();
    const bool fresh = !connection;
    try {
      if (fresh) connection = connect(deadline);
      Reply reply = connection->ask(words, deadline);
      if (is_good(*reply))
        idle_.give_back(std::move(connection));
      else if (!fresh && leads_astray(*reply))
        continue;
      return reply;
    } catch (const Broken& e) {
      // One that lay idle may have broken long ago: that says nothing of the server.
      if (fresh && ++broken == kMostBroken) throw;
    }
  }
}

Reply Server::ask(std::initializer_list<std::string_view> words, Deadline deadline) {
  return named([&] {
    Reply reply = answer(std::span{words.begin(), words.size()}, deadline);
    if (reply->type == REDIS_REPLY_ERROR) throw_error(*reply);
    return reply;
  });
}

Reply Server::run(const Script& script, std::string_view lock, std::string_view past,
                  std::initializer_list<std::string_view> args, Deadline deadline) {
  std::vector<std::string_view> words{"EVALSHA", script.name.view(), "2", lock, past};
  words.insert(words.end(), args);
  return named([&] {
    Reply reply = answer(words, deadline);
    if (is_error(*reply, "NOSCRIPT")) {  // it is new, was restarted, or told to forget
      words[0] = "EVAL";
      words[1] = script.text;
      reply = answer(words, deadline);
    }
    if (reply->type == REDIS_REPLY_ERROR) throw_error(*reply);
    return reply;
  });
}

void Server::bad_answer() const {
  throw Failure{Errc::damaged, url_.shown() + " answers what no Redis server answers: is something else listening there?"};
}

}  // namespace sherlock::addons::redis

namespace sherlock {

RedisClient::RedisClient() : RedisClient{std::string_view{"redis://localhost:6379"}} {}
RedisClient::RedisClient(std::string_view url) : server_{addons::redis::Server::of(url)} {}
std::string RedisClient::text() const { return server_->url().shown(); }

}  // namespace sherlock
