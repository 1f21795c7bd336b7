// SPDX-License-Identifier: MIT
// What a Keeper does: a thread that renews one hold. It outlives the Keeper and the lock only where one of its own callbacks destroyed them.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include <sherlock/keeper.hpp>

#include "core/hold.hpp"
#include "posix/process.hpp"

namespace sherlock::detail {

class Keeping : public std::enable_shared_from_this<Keeping> {
 public:
  Keeping(BaseLock& lock, KeeperOptions options);
  ~Keeping();

  // Exceptions as the constructor of Keeper.
  void attach();
  // The thread is asked to end and waited for; not by itself.
  void end() noexcept;
  // From now on the lock knows nothing of this, and this not of the lock. After end().
  void detach() noexcept;

  // Of the lock, if it has one of this process.
  static std::shared_ptr<Keeping> of(BaseLock& lock) noexcept;

  // The process that made it: a forked child has no such thread, and may neither join nor destroy it.
  std::uint64_t process() const { return process_; }
  // Requested when the hold is lost.
  std::stop_source& lost() { return lost_; }

 private:
  using nanoseconds = std::chrono::nanoseconds;

  void start();
  void run() noexcept;
  void keep(const std::stop_token& stop);
  bool gone(const BaseLock::Hold& hold);
  nanoseconds due(const BaseLock::Hold& hold) const;
  nanoseconds told_at(const BaseLock::Hold& hold) const;
  bool renew(const BaseLock::Hold& hold, nanoseconds now);
  bool give_up(const BaseLock::Hold& hold, nanoseconds now);
  void tell(const LockException& what) noexcept;

  const std::uint64_t process_ = posix::process_token();
  BaseLock* lock_;  // null: detached. Written with the mutex of all keepers
  const BaseLock::Hold hold_;
  const KeeperOptions options_;
  const OnLost on_lost_;         // a copy: a callback may destroy the lock
  const bool lease_;
  const nanoseconds interval_;
  const nanoseconds last_renewal_;  // CLOCK_BOOTTIME
  nanoseconds renewed_, retry_{};   // likewise; of the thread
  std::string failure_;             // the last one's text; of the thread
  std::stop_source end_, lost_;
  std::mutex joining_;
  std::thread thread_;
  std::thread::id id_;
};

}  // namespace sherlock::detail
