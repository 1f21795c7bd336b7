// SPDX-License-Identifier: MIT
// Connections that nobody uses at the moment. A verb takes one, or makes one, and gives it back if it is still good; so a process has as many as it has
// verbs at a time, however many locks it has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "addons/common/forks.hpp"

namespace sherlock::addons {

// `Connection` has a close(), which gives it up without sending a byte.
template <class Connection>
class Pool {
 public:
  // Nothing: make one.
  std::unique_ptr<Connection> take() {
    std::vector<std::unique_ptr<Connection>> parents;  // closed outside
    const std::lock_guard guard{shared()};
    if (forks_ != forks()) {
      parents.swap(idle_);
      forks_ = forks();
      for (auto& connection : parents) connection->close();
    }
    if (idle_.empty()) return nullptr;
    std::unique_ptr<Connection> taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }

  // Must have been taken, or made, in this process.
  void give_back(std::unique_ptr<Connection> connection) {
    const std::lock_guard guard{shared()};
    if (forks_ == forks() && idle_.size() < kMost) idle_.push_back(std::move(connection));
  }

  // All that lie idle lead to somebody who is of no use any more.
  void forget() {
    std::vector<std::unique_ptr<Connection>> idle;  // closed outside
    const std::lock_guard guard{shared()};
    idle.swap(idle_);
    if (forks_ != forks())
      for (auto& connection : idle) connection->close();
    forks_ = forks();
  }

 private:
  static constexpr std::size_t kMost = 4;

  std::uint64_t forks_ = forks();
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace sherlock::addons
