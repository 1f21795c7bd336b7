// SPDX-License-Identifier: MIT
#include "addons/postgres/connection.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <new>
#include <utility>
#include <vector>

#include "addons/common/failure.hpp"
#include "addons/postgres/sqlstate.hpp"

namespace sherlock::addons::postgres {
namespace {

constexpr std::size_t kMostBytes = 8 * 1024 * 1024;  // of one answer; the largest we ask for is a page of list()
constexpr std::size_t kLongestText = 300;            // of the server's that is shown
constexpr int kOldest = 110000;                      // version of a server
constexpr int kPlansOnce = 120000;
constexpr int kWatchesClients = 140000;

// Lines made one, as libpq's messages have many.
std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (char& c : text)
    if (c == '\n' || c == '\t') c = ' ';
  return printable(text, kLongestText);
}

// Of the statement, on the server.
std::string name_of(Verb verb) { return "sherlock_" + std::to_string(static_cast<std::size_t>(verb)); }

// poll() until then: the events that came, 0 at the deadline, -1 where `wake` can be read.
int wait_for(int fd, short events, Deadline deadline, int wake) {
  for (;;) {
    pollfd polled[2] = {{fd, events, 0}, {wake, POLLIN, 0}};
    const int ready = ::poll(polled, wake >= 0 ? 2 : 1, deadline.wait_ms());
    if (ready < 0 && errno != EINTR) throw Failure{Errc::system, "poll", {errno, std::generic_category()}};
    if (ready == 0 && deadline.passed()) return 0;
    if (ready <= 0) continue;
    // Whoever says too much does not keep us from hearing that we are to stop.
    if (wake >= 0 && polled[1].revents) return -1;
    return polled[0].revents;
  }
}

// For a loop that waits for something to come: a server that does not stop talking ends no wait_for() by its deadline. What is there when the deadline has come
// (we may have been stopped meanwhile) is looked at once.
class LastTurn {
 public:
  // Of the next turn: whether there is none.
  bool was(Deadline deadline) { return std::exchange(late_, deadline.passed()); }

 private:
  bool late_ = false;
};

}  // namespace

std::string_view sqlstate(const PGresult& result) {
  const char* const state = PQresultErrorField(&result, PG_DIAG_SQLSTATE);
  return state ? state : "";
}

Connection::Connection(const Settings& settings, Deadline deadline) {
  const std::vector<Settings::Keywords> hosts = settings.hosts(deadline);
  std::size_t left = hosts.size();
  for (const Settings::Keywords& host : hosts) try {
      // One that swallows everything leaves the others their share.
      const Deadline share = Deadline::in(deadline.left() / static_cast<long>(left--));
      open(host, share);
      greet(share);
      return;
    } catch (...) {
      PQfinish(std::exchange(connection_, nullptr));
      if (left == 0) throw;
    }
}

Connection::~Connection() {
  if (forks_ != forks())
    close();
  else
    PQfinish(connection_);
}

void Connection::open(const Settings::Keywords& host, Deadline deadline) {
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : host) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  connection_ = PQconnectStartParams(keywords.data(), values.data(), 0);
  if (!connection_) throw std::bad_alloc{};
  PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);  // it would be written to stderr
  auto wants = PGRES_POLLING_WRITING;
  LastTurn last;
  while (PQstatus(connection_) != CONNECTION_BAD && wants != PGRES_POLLING_OK && wants != PGRES_POLLING_FAILED) {
    if (last.was(deadline) || wait_for(PQsocket(connection_), wants == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, -1) == 0)
      throw Failure{Errc::busy, "no answer in time; is the address right, and nothing in the way?"};
    wants = PQconnectPoll(connection_);
  }
  if (PQstatus(connection_) != CONNECTION_OK) {
    const bool password = PQconnectionNeedsPassword(connection_);
    throw Failure{Errc::unavailable, fit(PQerrorMessage(connection_)) +
                                         (password ? "; it wants a password: postgresql://user:password@host, or a passfile" : "")};
  }
  if (PQsetnonblocking(connection_, 1) != 0) broken();
}

void Connection::greet(Deadline deadline) {
  if (PQserverVersion(connection_) < kOldest) throw Failure{Errc::unavailable, "it is older than version 11"};
  // A plan for any key is as good as one for this key, and to plan takes longer than what is planned.
  const Result result = ask(fmt::format("SET search_path TO pg_catalog; SET default_transaction_isolation TO 'read committed'; SET statement_timeout TO 60000; {}{}"
                                        "SELECT pg_backend_pid(), pg_is_in_recovery()::int",
                                        PQserverVersion(connection_) >= kPlansOnce ? "SET plan_cache_mode TO force_generic_plan; " : "",
                                        PQserverVersion(connection_) >= kWatchesClients ? "SET client_connection_check_interval TO 1000; " : ""),
                            deadline);
  if (is_error(*result)) throw_error(*result);
  if (PQntuples(result.get()) != 1 || PQnfields(result.get()) != 2) throw Failure{Errc::damaged, "this is no answer of a PostgreSQL server"};
  // A pooler says a process of its own making, and its connections are other people's the next moment: no notification would come.
  if (std::to_string(PQbackendPID(connection_)) != PQgetvalue(result.get(), 0, 0))
    throw Failure{Errc::unavailable, "a pooler is in between, which hands out other people's connections: name the server itself"};
  if (std::string_view{PQgetvalue(result.get(), 0, 1)} != "0")
    throw Failure{Errc::unavailable, "it is a standby and takes no writes: name the primary, or add target_session_attrs=read-write"};
}

Result Connection::run(Verb verb, const std::string& sql, std::span<const Argument> arguments, Deadline deadline) {
  if (!prepared(verb)) {
    auto result = prepare(verb, sql, deadline);
    if (!result) give_up();
    if (is_error(**result)) return *std::move(result);
  }
  std::array<const char*, 8> values{};
  std::array<int, 8> lengths{}, formats{};
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].text) continue;
    values[i] = arguments[i].text->c_str();
    lengths[i] = static_cast<int>(arguments[i].text->size());
    formats[i] = arguments[i].bytes;
  }
  if (!PQsendQueryPrepared(connection_, name_of(verb).c_str(), static_cast<int>(arguments.size()), values.data(), lengths.data(), formats.data(), 0)) broken();
  bytes_ = 0;
  if (auto result = receive(deadline)) return *std::move(result);
  give_up();
}

std::optional<Result> Connection::prepare(Verb verb, const std::string& sql, Deadline deadline, int wake) {
  if (!PQsendPrepare(connection_, name_of(verb).c_str(), sql.c_str(), 0, nullptr)) broken();
  bytes_ = 0;
  auto result = receive(deadline, wake);
  if (result && !is_error(**result)) prepared_.set(static_cast<std::size_t>(verb));
  return result;
}

Result Connection::ask(const std::string& sql, Deadline deadline) {
  send(sql);
  if (auto result = receive(deadline)) return *std::move(result);
  give_up();
}

void Connection::send(const std::string& sql) {
  if (!PQsendQuery(connection_, sql.c_str()) || PQflush(connection_) < 0) broken();
  bytes_ = 0;
}

std::optional<Result> Connection::receive(Deadline deadline, int wake) {
  Result last;
  for (LastTurn turn;;) {
    while (!PQisBusy(connection_)) {
      Result next{PQgetResult(connection_)};
      if (PQstatus(connection_) == CONNECTION_BAD) broken();
      if (!next && !last) throw Broken{Errc::damaged, "this is no answer of a PostgreSQL server"};
      if (!next) return last;
      const auto status = PQresultStatus(next.get());
      if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_FATAL_ERROR)
        throw Broken{Errc::damaged, "this is no answer of a PostgreSQL server"};  // COPY, of which there would be no end
      if (!last || !is_error(*last)) last = std::move(next);
    }
    if (turn.was(deadline) || !take_in(deadline, wake)) return std::nullopt;
  }
}

bool Connection::notified(const std::string& channel, Deadline deadline, int wake) {
  for (LastTurn turn;;) {
    bytes_ = 0;  // of an hour's wait they may be many
    while (const std::unique_ptr<PGnotify, decltype(&PQfreemem)> one{PQnotifies(connection_), &PQfreemem})
      if (channel == one->relname) return true;
    if (turn.was(deadline) || !take_in(deadline, wake)) return false;
  }
}

// Sends what is left to send, and waits for something to come. False at the deadline, or when `wake` can be read.
bool Connection::take_in(Deadline deadline, int wake) {
  const int left = PQflush(connection_);
  if (left < 0) broken();
  const int fd = PQsocket(connection_);
  const int came = wait_for(fd, static_cast<short>(left ? POLLIN | POLLOUT : POLLIN), deadline, wake);
  if (came <= 0) return false;
  if ((came & ~POLLOUT) == 0) return true;
  int bytes = 0;
  if (::ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0) bytes_ += static_cast<std::size_t>(bytes);
  if (bytes_ > kMostBytes) throw Broken{Errc::damaged, "its answer does not end"};
  if (!PQconsumeInput(connection_)) broken();
  return true;
}

void Connection::broken() const { throw Broken{Errc::unavailable, "the connection broke: " + fit(PQerrorMessage(connection_))}; }

// What was asked and is still on its way is not to arrive when nobody waits for it any more: closing the connection resets it.
void Connection::give_up() const {
  const linger none{1, 0};
  ::setsockopt(PQsocket(connection_), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  throw Failure{Errc::busy, "no answer in time"};
}

// To be shown: without the password, wherever libpq had it from.
std::string Connection::fit(std::string text) const {
  const std::string_view password = PQpass(connection_);
  if (!password.empty())
    for (std::size_t at = 0; (at = text.find(password, at)) != std::string::npos; at += 3) text.replace(at, password.size(), "***");
  return one_line(std::move(text));
}

void Connection::throw_error(const PGresult& result) const {
  const char* const text = PQresultErrorField(&result, PG_DIAG_MESSAGE_PRIMARY);
  const std::string_view state = sqlstate(result);
  postgres::throw_error(state, fmt::format("{} ({})", fit(text ? text : PQresultErrorMessage(&result)), printable(state, 5)));
}

void Connection::close() noexcept {
  if (!connection_) return;
  // PQfinish says goodbye to the server: where nobody hears it.
  const int fd = PQsocket(connection_), nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const bool gone = nowhere >= 0 && (fd < 0 || ::dup3(nowhere, fd, O_CLOEXEC) >= 0);
  if (nowhere >= 0) ::close(nowhere);
  if (gone)
    PQfinish(connection_);
  else
    ::close(fd);  // what libpq keeps of it is lost
  connection_ = nullptr;
}

}  // namespace sherlock::addons::postgres
