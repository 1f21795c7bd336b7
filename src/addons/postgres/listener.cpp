// SPDX-License-Identifier: MIT
#include "addons/postgres/listener.hpp"

#include <fmt/core.h>

#include "addons/common/failure.hpp"
#include "addons/common/wake.hpp"

namespace sherlock::addons::postgres {
namespace {

constexpr const char* kDeaf = "UNLISTEN *; SELECT pg_advisory_unlock_all()";

}  // namespace

bool Listener::start(Deadline deadline, const std::stop_token& stop) {
  const Wake wake{stop};
  // One that idles has its goodbye to an earlier channel still to be answered.
  std::unique_ptr<Connection> connection = server_->listeners().take();
  const bool used = connection != nullptr;
  if (!connection) connection = server_->connect(deadline);
  const auto answered = [&](const std::optional<Result>& result) {
    if (!result && !stop.stop_requested()) throw Failure{Errc::busy, "no answer in time"};
    return result.has_value();
  };
  const auto done = [&] {
    const auto result = connection->receive(deadline, wake.fd());
    if (result && is_error(**result)) connection->throw_error(**result);
    return answered(result);
  };
  if (used && !done()) return false;
  connection->send(fmt::format("LISTEN {}; SELECT pg_advisory_lock_shared({})", channel_, hash_));
  if (!done()) return false;
  // An error is for take() to find.
  const bool fresh = !connection->prepared(Verb::take);
  if (fresh && !answered(connection->prepare(Verb::take, server_->statement(Verb::take), deadline, wake.fd()))) return false;
  connection_ = std::move(connection);
  forks_ = forks();
  return fresh;
}

bool Listener::wait(Deadline deadline, const std::stop_token& stop) {
  const Wake wake{stop};
  return connection_->notified(channel_, deadline, wake.fd());
}

std::optional<Result> Listener::take(std::initializer_list<Argument> arguments, Deadline deadline) {
  try {
    Result result = connection_->run(Verb::take, server_->statement(Verb::take), std::span{arguments.begin(), arguments.size()}, deadline);
    if (PQresultStatus(result.get()) == PGRES_TUPLES_OK && PQnfields(result.get()) == 2) return result;
  } catch (const Failure&) {
  }
  connection_.reset();
  return std::nullopt;
}

void Listener::stop() noexcept {
  if (!connection_) return;
  try {
    if (forks_ == forks()) {
      connection_->send(kDeaf);
      server_->listeners().give_back(std::move(connection_));
    }
  } catch (const std::exception&) {
  }
  connection_.reset();
}

}  // namespace sherlock::addons::postgres
