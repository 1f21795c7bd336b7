// SPDX-License-Identifier: MIT
// One connection: libpq speaks the protocol, and never waits: when, and for how long, is ours. What a server sends is a stranger's: its size is bounded,
// and its form is checked by those who ask.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <libpq-fe.h>

#include "addons/common/deadline.hpp"
#include "addons/common/forks.hpp"
#include "addons/postgres/settings.hpp"
#include "addons/postgres/statements.hpp"

namespace sherlock::addons::postgres {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

// Of a statement: text, bytes, or nothing (null).
struct Argument {
  Argument(const std::string& text) : text{&text} {}
  Argument(const std::string& text, bool bytes) : text{&text}, bytes{bytes} {}
  Argument(const std::optional<std::string>& text) : text{text ? &*text : nullptr} {}

  const std::string* text;
  bool bytes = false;
};

class Connection {
 public:
  // Connects to the first host that can keep locks. Failure, the last one's, where none can by the deadline.
  Connection(const Settings& settings, Deadline deadline);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The statement of a verb, which the server is made to know first. The result may be an error of the server's. Broken or Failure (busy): the connection
  // is of no use any more.
  Result run(Verb verb, const std::string& sql, std::span<const Argument> arguments, Deadline deadline);
  // Statements as they are, as one transaction: the last one's result, or the error.
  Result ask(const std::string& sql, Deadline deadline);

  // Makes the server know it now, so that run() need not. The error that stood in the way, or that there was none; nothing as in receive().
  bool prepared(Verb verb) const { return prepared_[static_cast<std::size_t>(verb)]; }
  std::optional<Result> prepare(Verb verb, const std::string& sql, Deadline deadline, int wake = -1);

  // The halves of ask(), for a listener. Nothing: the deadline came, or `wake` could be read.
  void send(const std::string& sql);
  std::optional<Result> receive(Deadline deadline, int wake = -1);
  // Until a notification of the channel (true), the deadline, or until `wake` can be read.
  bool notified(const std::string& channel, Deadline deadline, int wake);

  // Throws the Failure that an error is.
  [[noreturn]] void throw_error(const PGresult& result) const;

  // Gives it up without a byte to the server.
  void close() noexcept;

 private:
  void open(const Settings::Keywords& host, Deadline deadline);
  void greet(Deadline deadline);
  bool take_in(Deadline deadline, int wake);
  [[noreturn]] void broken() const;
  [[noreturn]] void give_up() const;
  std::string fit(std::string text) const;

  const std::uint64_t forks_ = forks();
  PGconn* connection_ = nullptr;
  std::bitset<kVerbs> prepared_;
  std::size_t bytes_ = 0;  // of the answer that is being read
};

inline bool is_error(const PGresult& result) {
  const auto status = PQresultStatus(&result);
  return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}
std::string_view sqlstate(const PGresult& result);

}  // namespace sherlock::addons::postgres
