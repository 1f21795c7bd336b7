// SPDX-License-Identifier: MIT
// One connection: requests out, replies in. hiredis writes and reads the protocol, the socket and its deadlines are ours. What a server sends is a
// stranger's: its size is bounded, and its types are checked by those who ask.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <hiredis.h>

#include "addons/common/deadline.hpp"
#include "addons/common/socket.hpp"
#include "addons/common/url.hpp"

namespace sherlock::addons::redis {

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

class Connection {
 public:
  // Connects, says who we are, and chooses the database. Failure where that does not work by the deadline.
  Connection(const Url& url, int db, Deadline deadline);
  ~Connection() {
    if (unanswered_) socket_.abandon();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One request, one reply, which may be an error of the server's. Broken or Failure (busy): the connection is of no use any more.
  Reply ask(std::span<const std::string_view> words, Deadline deadline);
  Reply ask(std::initializer_list<std::string_view> words, Deadline deadline) { return ask(std::span{words.begin(), words.size()}, deadline); }

  // The two halves of it, for a listener. Nothing: the deadline came, or `wake` could be read.
  void send(std::span<const std::string_view> words, Deadline deadline);
  std::optional<Reply> receive(Deadline deadline, int wake = -1);

  // Gives it up without a byte to the server.
  void close() noexcept { socket_.close(); }

 private:
  struct FreeReader {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };

  std::optional<Reply> next();
  void greet(const Url& url, int db, Deadline deadline);

  Socket socket_;
  bool unanswered_ = false;  // what was asked last
  std::unique_ptr<redisReader, FreeReader> reader_;
  // hiredis makes room for as many elements as a reply announces; ours does so within bounds.
  struct Bounds {
    redisReplyObjectFunctions* original;
    long elements_left;  // of arrays, in the reply that is being read
  };
  Bounds bounds_{};
  redisReplyObjectFunctions functions_{};
  std::size_t bytes_ = 0;  // of that reply, so far
};

// The words that an error reply begins with ("NOSCRIPT"), or nothing.
bool is_error(const redisReply& reply, std::string_view code);
// Throws the Failure that an error reply means. What it says is passed on, but for the secret that was sent.
[[noreturn]] void throw_error(const redisReply& reply, std::string_view secret = {});

}  // namespace sherlock::addons::redis
