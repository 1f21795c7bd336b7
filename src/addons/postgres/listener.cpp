// SPDX-License-Identifier: MIT
#include "addons/postgres/listener.hpp"

#include <fmt/core.h>

#include "addons/common/failure.hpp"
#include "addons/common/wake.hpp"

namespace sherlock::addons::postgres {
namespace {

constexpr const char* kDeaf = "UNLISTEN *; SELECT pg_advisory_unlock_all()";

}  // namespace

void Listener::start(Deadline deadline, const std::stop_token& stop) {
  const Wake wake{stop};
  // One that idles has its goodbye to an earlier channel still to be answered.
  std::unique_ptr<Connection> connection = server_->listeners().take();
  const bool used = connection != nullptr;
  if (!connection) connection = server_->connect(deadline);
  const auto answered = [&] {
    const auto result = connection->receive(deadline, wake.fd());
    if (!result && !stop.stop_requested()) throw Failure{Errc::busy, "no answer in time"};
    if (result && is_error(**result)) connection->throw_error(**result);
    return result.has_value();
  };
  if (used && !answered()) return;
  connection->send(fmt::format("LISTEN {}; SELECT pg_advisory_lock_shared({})", channel_, hash_));
  if (!answered()) return;
  connection_ = std::move(connection);
  forks_ = forks();
}

void Listener::wait(Deadline deadline, const std::stop_token& stop) {
  const Wake wake{stop};
  connection_->notified(channel_, deadline, wake.fd());
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
