// SPDX-License-Identifier: MIT
// A waiter's ear: told of every release of one lock. And its hand, for what it was told of.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "addons/postgres/server.hpp"

namespace sherlock::addons::postgres {

class Listener {
 public:
  // `hash` is the advisory lock by which a releaser knows that somebody waits.
  Listener(std::shared_ptr<Server> server, std::string channel, std::int64_t hash) : server_{std::move(server)}, channel_{std::move(channel)}, hash_{hash} {}
  ~Listener() { stop(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  bool listening() const { return connection_ && forks_ == forks(); }
  // From its return on, no release is missed. True where take() is new to the server, which plans it when it is first asked: ask now, not when the lock is
  // free. Broken, or Failure; a stop makes it come back without listening.
  bool start(Deadline deadline, const std::stop_token& stop);
  // Until a release (true), the deadline or a stop; releases that were told meanwhile count.
  bool wait(Deadline deadline, const std::stop_token& stop);
  // Verb::take, from here: nobody else has to be woken for it, nor a connection be found. Nothing, and it listens no longer, where that went wrong, whether
  // the server did it or not.
  std::optional<Result> take(std::initializer_list<Argument> arguments, Deadline deadline);
  void stop() noexcept;

 private:
  const std::shared_ptr<Server> server_;
  const std::string channel_;
  const std::int64_t hash_;
  std::unique_ptr<Connection> connection_;
  std::uint64_t forks_ = 0;  // under which the connection was made
};

}  // namespace sherlock::addons::postgres
