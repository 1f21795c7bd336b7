// SPDX-License-Identifier: MIT
// Keeps a lease: renews it from a thread of its own for as long as the hold lasts. The only thread that the library starts, and only here.
//
//   sherlock::Lock job{"export", {.expire = 30s}};
//   job.acquire();
//   sherlock::Keeper keeper{job};
//   while (more()) if (keeper.stop_token().stop_requested()) return roll_back(); else step();
//   job.release();  // the thread is gone before this returns, whatever it returns or throws
//
// One Keeper keeps one hold, of any backend. A renewal is made when a third of the lease is over; one that fails is tried again, every ninth of it. If
// none succeeds until a tenth of the lease (1 s at most) is left, or if the store says that the hold is gone, it is lost: from then on held() is false, a
// stop is requested, and on_lost is told in the keeper's thread, once. So a program that heeds one of them has that tenth to stop before the store
// lets another in. Who was stopped or suspended past the lease is told when it goes on, without a request to the store.
// A hold that never expires needs no renewal; the store is asked every 5 s whether it is still ours. It is not lost while the store cannot answer.
//
// The thread ends, and is joined, before any of these returns: release() or unlock() of this hold, by whatever thread; the end of the lock or of the
// Keeper. They wait for a renewal that is on its way (a third of the lease at most, if the backend keeps to Claim::answer_by()) and for a
// callback that is running: do not let go while you own what a callback waits for. A release that throws BackendException leaves the hold held, but
// without a keeper. A Keeper that ends first leaves the hold as it is, and its lease to you.
// Callbacks may do everything, in the keeper's thread: release the lock, acquire it anew, destroy it or the Keeper. What would wait for the
// thread does not then; the thread ends when the callback returns, touches neither of them any more, and does not keep the new hold.
//
// It runs while the process runs: a program that hangs keeps its lock as long as it hangs. `lifetime` limits that.
// Processes: a forked child has no keeper; its copy of the Keeper does nothing, and its end neither. All signals are blocked in the thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include <sherlock/base_lock.hpp>
#include <sherlock/duration.hpp>
#include <sherlock/error.hpp>
#include <sherlock/export.hpp>

namespace sherlock {

struct KeeperOptions {
  // No renewal is made once the Keeper is this old: the hold lasts for one more lease at most, and is told as lost like any other. Not for a
  // hold that never expires.
  std::optional<Duration> lifetime{};
  // Told, in the keeper's thread, of each renewal that failed and will be tried again. What it throws is dropped.
  std::function<void(const LockException&)> on_failure{};
};

class SHERLOCK_API Keeper {
 public:
  // LockNotHeldException when the lock is not held, or not any more; ConfigurationException when its hold has a keeper already, or for a lifetime
  // that makes no sense; BackendException (Errc::system) when no thread can be started. The hold is then as it was.
  explicit Keeper(BaseLock& lock, KeeperOptions options = {});
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // A stop is requested when the hold is lost, and never when it was let go. May outlive the Keeper. Any thread.
  std::stop_token stop_token() const noexcept;

 private:
  std::shared_ptr<detail::Keeping> keeping_;
};

}  // namespace sherlock
