// SPDX-License-Identifier: MIT
#include "addons/redis/listener.hpp"

#include "addons/common/failure.hpp"
#include "addons/common/wake.hpp"

namespace sherlock::addons::redis {

// {"subscribe" or "message", channel, ...}
bool Listener::is(const redisReply& reply, std::string_view kind) const {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 3) return false;
  const redisReply &first = *reply.element[0], &second = *reply.element[1];
  return first.type == REDIS_REPLY_STRING && second.type == REDIS_REPLY_STRING && std::string_view{first.str, first.len} == kind &&
         std::string_view{second.str, second.len} == channel_;
}

void Listener::start(Deadline deadline, const std::stop_token& stop) {
  const Wake wake{stop};
  std::unique_ptr<Connection> connection = server_->listeners().take();
  if (!connection) connection = server_->connect(deadline);
  const std::string_view words[] = {"SUBSCRIBE", channel_};
  connection->send(words, deadline);
  // What comes first may be the end of an earlier use of this connection.
  for (;;) {
    const auto reply = connection->receive(deadline, wake.fd());
    if (reply && is(**reply, "subscribe")) break;
    if (reply && (*reply)->type == REDIS_REPLY_ERROR) throw_error(**reply);
    // Who says other things without end is no better than who says nothing.
    if (!reply || stop.stop_requested() || deadline.passed()) {
      if (stop.stop_requested()) return;
      throw Failure{Errc::busy, "no answer in time"};
    }
  }
  connection_ = std::move(connection);
  forks_ = forks();
}

void Listener::wait(Deadline deadline, const std::stop_token& stop) {
  const Wake wake{stop};
  for (;;) {
    const auto reply = connection_->receive(deadline, wake.fd());
    if (!reply || is(**reply, "message") || stop.stop_requested() || deadline.passed()) return;
  }
}

void Listener::stop() noexcept {
  if (!connection_) return;
  try {
    if (forks_ == forks()) {
      const std::string_view words[] = {"UNSUBSCRIBE", channel_};
      connection_->send(words, Deadline::in({}));
      server_->listeners().give_back(std::move(connection_));
    }
  } catch (const std::exception&) {
  }
  connection_.reset();
}

}  // namespace sherlock::addons::redis
