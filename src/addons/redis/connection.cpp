// SPDX-License-Identifier: MIT
#include "addons/redis/connection.hpp"

#include <fmt/core.h>

#include <vector>

#include "addons/common/failure.hpp"

namespace sherlock::addons::redis {
namespace {

constexpr int kPort = 6379;
constexpr std::size_t kMostBytes = 1024 * 1024;  // of one reply; the largest we ask for is a page of SCAN
constexpr long kMostElements = 16 * 1024;

// A server that does not know AUTH repeats what it was told, or as much as it finds worth it.
std::string without(std::string_view secret, std::string_view said) {
  std::string text{said.substr(0, said.find("with args beginning with"))};
  if (text.size() < said.size()) text += "...";
  for (std::size_t at = 0; !secret.empty() && (at = text.find(secret, at)) != std::string::npos; at += 3) text.replace(at, secret.size(), "***");
  return text;
}

}  // namespace

Connection::Connection(const Url& url, int db, Deadline deadline) : socket_{url, kPort, deadline}, reader_{redisReaderCreate()} {
  if (!reader_) throw std::bad_alloc{};
  bounds_ = {reader_->fn, kMostElements};
  functions_ = *reader_->fn;
  functions_.createArray = [](const redisReadTask* task, auto elements) -> void* {
    Bounds& bounds = *static_cast<Bounds*>(task->privdata);
    if (static_cast<long>(elements) > bounds.elements_left) return nullptr;
    bounds.elements_left -= static_cast<long>(elements);
    return bounds.original->createArray(task, elements);
  };
  reader_->fn = &functions_;
  reader_->privdata = &bounds_;
  greet(url, db, deadline);
}

void Connection::greet(const Url& url, int db, Deadline deadline) {
  const std::string secret = url.secret(), number = std::to_string(db);
  const auto must = [&](std::span<const std::string_view> words) {
    const Reply reply = ask(words, deadline);
    if (reply->type == REDIS_REPLY_ERROR) throw_error(*reply, secret);
  };
  std::vector<std::string_view> auth{"AUTH"};
  if (!url.user.empty()) auth.push_back(url.user);
  auth.push_back(secret);
  if (!secret.empty() || !url.user.empty()) must(auth);
  const std::string_view select[] = {"SELECT", number};
  if (db != 0) must(select);
}

Reply Connection::ask(std::span<const std::string_view> words, Deadline deadline) {
  unanswered_ = true;
  send(words, deadline);
  if (auto reply = receive(deadline)) {
    unanswered_ = false;
    // What nobody asked for would be taken for the answer to the next request.
    if (reader_->pos != reader_->len) throw Broken{Errc::damaged, "it says more than it was asked"};
    return *std::move(reply);
  }
  throw Failure{Errc::busy, "no answer in time"};
}

void Connection::send(std::span<const std::string_view> words, Deadline deadline) {
  std::vector<const char*> texts;
  std::vector<std::size_t> lengths;
  for (const std::string_view word : words) {
    texts.push_back(word.data());
    lengths.push_back(word.size());
  }
  char* formatted = nullptr;
  const int length = redisFormatCommandArgv(&formatted, static_cast<int>(texts.size()), texts.data(), lengths.data());
  if (length < 0) throw std::bad_alloc{};
  const std::unique_ptr<char, decltype(&redisFreeCommand)> owned{formatted, &redisFreeCommand};
  socket_.send({formatted, static_cast<std::size_t>(length)}, deadline);
}

std::optional<Reply> Connection::receive(Deadline deadline, int wake) {
  for (bool came = false;; came = true) {
    if (auto reply = next()) return reply;
    // A whole answer counts though it is late (we may have been stopped); one that never ends does not.
    if (came && deadline.passed()) return std::nullopt;
    char bytes[16 * 1024];
    std::size_t count = 0;
    if (socket_.receive(bytes, sizeof bytes, count, deadline, wake) != Socket::Came::bytes) return std::nullopt;
    bytes_ += count;
    if (bytes_ > kMostBytes) throw Broken{Errc::damaged, "its answer does not end"};
    if (redisReaderFeed(reader_.get(), bytes, count) != REDIS_OK) throw Broken{Errc::damaged, "its answer cannot be kept"};
  }
}

// A whole reply, if one is there.
std::optional<Reply> Connection::next() {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK)
    throw Broken{Errc::damaged, fmt::format("this is no answer of a Redis server: {}", printable(reader_->errstr))};
  if (!reply) return std::nullopt;
  bytes_ = reader_->len - reader_->pos;
  bounds_.elements_left = kMostElements;
  return Reply{static_cast<redisReply*>(reply)};
}

bool is_error(const redisReply& reply, std::string_view code) {
  return reply.type == REDIS_REPLY_ERROR && std::string_view{reply.str, reply.len}.starts_with(code);
}

void throw_error(const redisReply& reply, std::string_view secret) {
  static constexpr struct {
    const char* code;
    Errc errc;
    const char* way_out;
  } kKnown[] = {
      {"NOAUTH", Errc::unavailable, "it wants a password: redis://user:password@host, or the option password_file"},
      {"WRONGPASS", Errc::unavailable, "check user and password"},
      {"ERR invalid password", Errc::unavailable, "check the password"},
      {"NOPERM", Errc::unavailable, "the user may not do this: allow it ~sherlock:* &sherlock:* +@all, or what docs/addons/redis.md lists"},
      {"LOADING", Errc::unavailable, "it is reading its data: try again soon"},
      {"BUSY ", Errc::busy, "somebody's script keeps it: wait, or SCRIPT KILL"},
      {"READONLY", Errc::unavailable, "it is a replica: name the primary"},
      {"MASTERDOWN", Errc::unavailable, "it is a replica without its primary: name the primary"},
      {"MOVED", Errc::unavailable, "it is part of a cluster, which is not supported: name a single server"},
      {"CLUSTERDOWN", Errc::unavailable, "it is part of a cluster, which is not supported: name a single server"},
      {"MISCONF", Errc::unavailable, "it cannot save its data and takes no writes: see its log"},
      {"OOM", Errc::system, "its memory is full: raise maxmemory"},
      {"NOREPLICAS", Errc::unavailable, "it has too few replicas to take writes"},
      {"WRONGTYPE", Errc::damaged, "another program uses a key of this lock for something else"},
      {"ERR max number of clients", Errc::system, "raise maxclients"},
  };
  const std::string_view said{reply.str, reply.len};
  const std::string text = "it says: " + printable(secret.empty() ? said : without(secret, said));
  for (const auto& known : kKnown)
    if (is_error(reply, known.code)) throw Failure{known.errc, text + "; " + known.way_out};
  throw Failure{Errc::unavailable, text};
}

}  // namespace sherlock::addons::redis
