// SPDX-License-Identifier: MIT
#include <libpq-fe.h>

#include <sherlock/addons/postgres_lock.hpp>

#include "addons/bench/addon_bench.hpp"
#include "addons/postgres/statements.hpp"
#include "addons/support/postgres_server.hpp"

namespace {

namespace postgres = sherlock::addons::postgres;

constexpr const char* kNote = R"({"host":"bench","label":"postgres_bench","name":"bare","pid":1234567,"program":"postgres_bench","uid":1000})";

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

void must(PGresult* result) {
  const auto status = PQresultStatus(result);
  PQclear(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) throw std::runtime_error{"the bare client failed"};
}

// The same statement on the same kind of connection, prepared, through libpq's own waiting calls.
void run(PGconn* connection, const char* name, const std::vector<const char*>& values) {
  must(PQexecPrepared(connection, name, static_cast<int>(values.size()), values.data(), nullptr, nullptr, 0));
}

std::string statement(postgres::Verb verb) {
  std::string text = postgres::kStatements[static_cast<std::size_t>(verb)];
  for (std::size_t at = 0; (at = text.find("{T}")) != std::string::npos;) text.replace(at, 3, "public.sherlock_locks");
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  REQUIRE_SERVER_OR(support::PostgresServer, 0);
  const support::PostgresServer server;
  const auto make = [&](const char* name) {
    return std::make_unique<sherlock::PostgresLock>(name, sherlock::Options{.timeout = std::chrono::seconds{20}, .retry_interval = std::chrono::hours{1}}, server.url());
  };
  static_cast<void>(make("table")->try_acquire());
  const Connection connection{PQconnectdb(server.url().c_str()), &PQfinish};
  must(PQprepare(connection.get(), "acquire", statement(postgres::Verb::acquire).c_str(), 0, nullptr));
  must(PQprepare(connection.get(), "release", statement(postgres::Verb::release).c_str(), 0, nullptr));
  must(PQprepare(connection.get(), "ping", "SELECT 1", 0, nullptr));
  long hold = 0;
  return bench::run({.name = "postgres",
                     .bare_pair =
                         [&] {
                           const std::string owner = "0123456789abcdef" + std::to_string(1000000000000000 + ++hold);
                           run(connection.get(), "acquire", {"bare-0123456789abcdef0123456789abcdef", owner.c_str(), "66667", kNote});
                           run(connection.get(), "release", {"bare-0123456789abcdef0123456789abcdef", owner.c_str(), "123456789", "sherlock_bare"});
                         },
                     .round_trip = [&] { run(connection.get(), "ping", {}); },
                     .make = make},
                    argc, argv);
}
