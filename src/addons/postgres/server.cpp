// SPDX-License-Identifier: MIT
#include "addons/postgres/server.hpp"

#include <fmt/core.h>

#include <functional>
#include <map>

#include <sherlock/addons/postgres_lock.hpp>

#include "addons/common/facts.hpp"
#include "addons/common/failure.hpp"
#include "addons/postgres/sqlstate.hpp"

namespace sherlock::addons::postgres {

namespace {

constexpr int kMostBroken = 3;  // connections, fresh ones, in one request

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) text.replace(at, what.size(), with);
  return text;
}

}  // namespace

std::shared_ptr<Server> Server::of(std::string_view url) {
  // Never destroyed: locks may be let go while the process exits.
  static auto* const servers = new std::map<std::string, std::shared_ptr<Server>, std::less<>>;
  const std::lock_guard guard{shared()};
  const auto found = servers->find(url);
  if (found != servers->end()) return found->second;
  return servers->emplace(url, std::make_shared<Server>(url)).first->second;
}

Server::Server(std::string_view url) : settings_{url} {
  for (std::size_t i = 0; i < kVerbs; ++i) statements_[i] = replaced(kStatements[i], "{T}", settings_.table());
}

std::unique_ptr<Connection> Server::connect(Deadline deadline) const { return std::make_unique<Connection>(settings_, deadline); }

// What `call` asks of a connection, on an idle one, or a new one where that broke. What goes wrong has the server's address.
template <class Call>
Result Server::answer(Deadline deadline, bool* asked_twice, Call call) {
  try {
    for (int broken = 0;;) {
      std::unique_ptr<Connection> connection = idle_.take();
      const bool fresh = !connection;
      try {
        if (fresh) connection = connect(deadline);
        Result result = call(*connection);
        if (is_error(*result) && sqlstate(*result) == kNoTable) {
          create(*connection, deadline);
          result = call(*connection);
        }
        if (is_error(*result)) connection->throw_error(*result);
        idle_.give_back(std::move(connection));
        return result;
      } catch (const Broken&) {
        if (asked_twice) *asked_twice = true;
        // One that lay idle may have broken long ago: that says nothing of the server.
        if (fresh && ++broken == kMostBroken) throw;
      }
    }
  } catch (const Failure& e) {
    throw Failure{e.code(), fmt::format("{}: {}", settings_.shown(), e.what()), e.cause()};
  }
}

void Server::create(Connection& connection, Deadline deadline) const {
  const std::string number = std::to_string(static_cast<std::int64_t>(hash_of(settings_.table())));
  const Result result = connection.ask(replaced(replaced(kCreate, "{L}", number), "{T}", settings_.table()), deadline);
  if (is_error(*result)) connection.throw_error(*result);
}

Result Server::run(Verb verb, std::initializer_list<Argument> arguments, int columns, Deadline deadline, bool* asked_twice) {
  Result result = answer(deadline, asked_twice, [&](Connection& connection) {
    return connection.run(verb, statement(verb), std::span{arguments.begin(), arguments.size()}, deadline);
  });
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK || PQnfields(result.get()) != columns) bad_answer();
  return result;
}

std::size_t Server::clean(Deadline deadline) {
  const Result result = answer(deadline, nullptr, [&](Connection& connection) { return connection.ask(replaced(kClean, "{T}", settings_.table()), deadline); });
  if (PQntuples(result.get()) != 1 || PQnfields(result.get()) != 1) bad_answer();
  const auto count = read_number(PQgetvalue(result.get(), 0, 0));
  if (!count) bad_answer();
  return *count;
}

void Server::bad_answer() const {
  throw Failure{Errc::damaged, settings_.shown() + " answers what no PostgreSQL server answers: is something else listening there?"};
}

}  // namespace sherlock::addons::postgres

namespace sherlock {

PostgresClient::PostgresClient() : PostgresClient{std::string_view{"postgresql://"}} {}
PostgresClient::PostgresClient(std::string_view url) : server_{addons::postgres::Server::of(url)} {}
std::string PostgresClient::text() const { return server_->settings().shown(); }

}  // namespace sherlock
