// SPDX-License-Identifier: MIT
// A waiter's ear: told of every release of one lock.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "addons/redis/server.hpp"

namespace sherlock::addons::redis {

class Listener {
 public:
  explicit Listener(std::shared_ptr<Server> server, std::string channel) : server_{std::move(server)}, channel_{std::move(channel)} {}
  ~Listener() { stop(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  bool listening() const { return connection_ && forks_ == forks(); }
  // From its return on, no release is missed. Broken, or Failure; a stop makes it come back without listening.
  void start(Deadline deadline, const std::stop_token& stop);
  // Until a release, the deadline or a stop; releases that were told meanwhile count.
  void wait(Deadline deadline, const std::stop_token& stop);
  void stop() noexcept;

 private:
  bool is(const redisReply& reply, std::string_view kind) const;

  const std::shared_ptr<Server> server_;
  const std::string channel_;
  std::unique_ptr<Connection> connection_;
  std::uint64_t forks_ = 0;  // under which the connection was made
};

}  // namespace sherlock::addons::redis
