// SPDX-License-Identifier: MIT
// A waiter's ear: told of every end of a hold.
#pragma once

#include <memory>
#include <stop_token>

#include "addons/etcd/requests.hpp"

namespace sherlock::addons::etcd {

class Listener {
 public:
  Listener(std::shared_ptr<Server> server, const Keys& keys) : server_{std::move(server)}, keys_{keys} {}
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Until a hold that was there at that revision, or a later one, has ended: true. Or until the deadline or a stop. The cluster tells what happened since the
  // revision, so nothing that comes before we listen is missed. Failure: nobody listens.
  bool wait(std::uint64_t revision, Deadline deadline, const std::stop_token& stop);
  void stop() noexcept { stream_.reset(); }

 private:
  const std::shared_ptr<Server> server_;
  const Keys& keys_;
  std::unique_ptr<HttpStream> stream_;
  std::uint64_t forks_ = 0;  // under which it was made
};

}  // namespace sherlock::addons::etcd
