// SPDX-License-Identifier: MIT
#include <libpq-fe.h>
#include <poll.h>

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

// What a hand-off takes at least: the same release, which notifies a bare listener, and the same statement by whoever is notified, where he is notified.
void bare_hand_off(const std::string& url, int repetitions) {
  const Connection releaser{PQconnectdb(url.c_str()), &PQfinish}, listener{PQconnectdb(url.c_str()), &PQfinish};
  must(PQprepare(releaser.get(), "acquire", statement(postgres::Verb::acquire).c_str(), 0, nullptr));
  must(PQprepare(releaser.get(), "release", statement(postgres::Verb::release).c_str(), 0, nullptr));
  must(PQprepare(releaser.get(), "ping", "SELECT 1", 0, nullptr));
  must(PQprepare(listener.get(), "take", statement(postgres::Verb::take).c_str(), 0, nullptr));
  must(PQexec(listener.get(), "LISTEN bare; SELECT pg_advisory_lock_shared(987654321)"));
  std::vector<double> times, ratios;
  for (int i = 0; i < repetitions; ++i) {
    const std::string first = std::to_string(2 * i), second = std::to_string(2 * i + 1);
    run(releaser.get(), "acquire", {"bare-hand-off", first.c_str(), "66667", kNote});
    std::atomic<bench::Time::time_point> granted{};
    std::jthread waits{[&] {
      pollfd polled{PQsocket(listener.get()), POLLIN, 0};
      PGnotify* told = nullptr;
      while (!(told = PQnotifies(listener.get())))
        if (::poll(&polled, 1, 20000) != 1 || !PQconsumeInput(listener.get())) throw std::runtime_error{"the bare client was not notified"};
      PQfreemem(told);
      run(listener.get(), "take", {"bare-hand-off", second.c_str(), "66667", kNote});
      granted = bench::Time::now();
    }};
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
    const double trip = bench::us_each(1, [&] { run(releaser.get(), "ping", {}); });
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
    const auto begin = bench::Time::now();
    run(releaser.get(), "release", {"bare-hand-off", first.c_str(), "987654321", "bare"});
    waits.join();
    times.push_back(std::chrono::duration<double, std::micro>(granted.load() - begin).count());
    ratios.push_back(times.back() / trip);
    run(releaser.get(), "release", {"bare-hand-off", second.c_str(), "123456789", "bare"});
  }
  std::printf("%-12s hand-off by the bare client %8.1f us, in round trips: %.2f x\n", "postgres", bench::median(times), bench::median(ratios));
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
  bare_hand_off(server.url(), argc > 1 ? 5 : 201);
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
