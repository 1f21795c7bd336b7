// SPDX-License-Identifier: MIT
#include "core/keeping.hpp"

#include <fmt/core.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <utility>

#include <sherlock/clock.hpp>

#include "core/report.hpp"
#include "posix/clock.hpp"

namespace sherlock::detail {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kLook = std::chrono::seconds{5};         // how often a hold that never expires is looked after
constexpr nanoseconds kLongestNap = std::chrono::seconds{1};   // sleep does not see a suspended machine, so the lease is looked at between naps
constexpr nanoseconds kLongestMargin = std::chrono::seconds{1};

// Guards BaseLock::keeper_ of all locks, and what belongs to it. Of this process: in a forked child the old one may be locked for ever.
std::mutex& keepers() {
  struct Mutex {
    const std::uint64_t process;
    std::mutex mutex{};
  };
  static std::atomic<Mutex*> in_use{nullptr};
  Mutex* present = in_use.load(std::memory_order_acquire);
  while (!present || present->process != posix::process_token()) {
    auto* fresh = new Mutex{posix::process_token()};
    if (in_use.compare_exchange_strong(present, fresh, std::memory_order_acq_rel)) {
      if (present) posix::leave_to_parent(present);
      return fresh->mutex;
    }
    delete fresh;
  }
  return present->mutex;
}

// The program's handlers do not run in our thread: it inherits the mask that is in force here.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Keeping::Keeping(BaseLock& lock, KeeperOptions options)
    : lock_{&lock}, hold_{lock.hold()}, options_{std::move(options)}, on_lost_{lock.on_lost_}, lease_{!lock.expire_.is_infinite()},
      interval_{lease_ ? lock.expire_.ns() / 3 : kLook},
      last_renewal_{options_.lifetime.value_or(forever).after(clock().boottime())}, renewed_{clock().boottime()} {
  if (!hold_.held() || lock.late(hold_)) lock.throw_not_held("keeper");
}

Keeping::~Keeping() {
  if (thread_.joinable()) thread_.detach();  // this is the thread: nobody is left who could wait for it
}

void Keeping::attach() {
  const auto kept_already = [this] {
    throw ConfigurationException{fmt::format("lock '{}' ({}): this hold has a keeper already", printable(lock_->name_), lock_->backend_),
                                 lock_->name_, lock_->backend_};
  };
  if (hold_.state == BaseLock::State::kept) kept_already();
  if (const std::shared_ptr<Keeping> present = of(*lock_)) {
    if (present->hold_.owner == hold_.owner) kept_already();  // by a thread that was quicker
    present->end();  // of an earlier hold
    present->detach();
  }

  const std::lock_guard guard{keepers()};  // the thread waits for it, too, before it does anything
  if (lock_->keeper_.load(std::memory_order_relaxed)) kept_already();
  if (!lock_->mark(hold_, BaseLock::State::kept)) lock_->throw_not_held("keeper");
  try {
    guarded(lock_->name_, lock_->backend_, [this] { start(); });
  } catch (...) {
    lock_->mark(hold_, BaseLock::State::held);
    throw;
  }
  lock_->keeper_.store(this, std::memory_order_release);
}

void Keeping::start() {
  const SignalsBlocked blocked;
  try {
    thread_ = std::thread{[self = shared_from_this()] { self->run(); }};
  } catch (const std::system_error& e) {
    throw Failure{Errc::system, fmt::format("no thread can be started to keep the lease: {}; see `ulimit -u` and `ulimit -v`", e.code().message()), e.code()};
  }
  id_ = thread_.get_id();
}

void Keeping::end() noexcept {
  end_.request_stop();
  if (std::this_thread::get_id() == id_) return;
  const std::lock_guard guard{joining_};
  if (thread_.joinable()) thread_.join();
}

void Keeping::detach() noexcept {
  const std::lock_guard guard{keepers()};
  if (!lock_) return;
  lock_->mark(hold_, BaseLock::State::held);
  std::exchange(lock_, nullptr)->keeper_.store(nullptr, std::memory_order_release);  // the last touch: the lock may end now
}

std::shared_ptr<Keeping> Keeping::of(BaseLock& lock) noexcept {
  const std::lock_guard guard{keepers()};
  Keeping* const keeping = lock.keeper_.load(std::memory_order_relaxed);
  if (!keeping) return {};
  if (keeping->process_ == posix::process_token()) return keeping->shared_from_this();
  lock.keeper_.store(nullptr, std::memory_order_relaxed);  // inherited by a fork
  return {};
}

void Keeping::run() noexcept {
  { const std::lock_guard attached{keepers()}; }
  const std::stop_token stop = end_.get_token();
  try {
    keep(stop);
  } catch (const std::exception& e) {
    failure_ = e.what();  // out of memory, say
    while (!stop.stop_requested() && !give_up(lock_->hold(), clock().boottime())) {
    }
  }
}

// Until the hold is lost or a stop is requested. After a callback neither the lock nor the Keeper may be there any more, and a stop has been requested.
void Keeping::keep(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const BaseLock::Hold hold = lock_->hold();
    if (gone(hold)) return;
    const nanoseconds now = clock().boottime(), due = this->due(hold), told_at = this->told_at(hold);
    if (now >= told_at) {
      if (give_up(hold, now)) return;
    } else if (now < due) {
      const nanoseconds nap = std::min({due, told_at, now + kLongestNap}) - now;
      clock().sleep_until(clock().monotonic() + nap, stop);
    } else if (!renew(hold, now)) {
      return;
    }
  }
}

// Whether somebody else found it lost, by a verb of the lock, and has told on_lost.
bool Keeping::gone(const BaseLock::Hold& hold) {
  const bool gone = hold.owner != hold_.owner || hold.state != BaseLock::State::kept;
  if (gone) lost_.request_stop();
  return gone;
}

nanoseconds Keeping::due(const BaseLock::Hold& hold) const {
  // Of whatever renewal the lease is, ours or the user's.
  const nanoseconds renewed = lease_ ? hold.lease_ends - lock_->expire_.ns() : renewed_;
  const nanoseconds due = std::max(renewed + interval_, retry_);
  return due < last_renewal_ ? due : nanoseconds::max();
}

nanoseconds Keeping::told_at(const BaseLock::Hold& hold) const {
  return lease_ ? hold.lease_ends - std::min(lock_->expire_.ns() / 10, kLongestMargin) : nanoseconds::max();
}

// False: the hold was lost.
bool Keeping::renew(const BaseLock::Hold& hold, nanoseconds now) {
  const Duration patience = shorter(lock_->patience_, std::min(interval_, told_at(hold) - now));
  try {
    const BaseLock::Renewal renewal = lock_->renew_within(hold, patience);
    if (renewal == BaseLock::Renewal::lost) tell(lock_->lost());
    renewed_ = now;
    failure_.clear();
    return renewal != BaseLock::Renewal::lost;
  } catch (const LockException& failure) {
    retry_ = clock().boottime() + interval_ / 3;
    failure_ = failure.what();
    if (options_.on_failure) try {
        options_.on_failure(failure);
      } catch (...) {
      }
    return true;
  }
}

// The lease is over, a little earlier than for the store. False: another thread has just renewed it.
bool Keeping::give_up(const BaseLock::Hold& hold, nanoseconds now) {
  if (gone(hold)) return true;
  std::int64_t ends = hold.lease_ends.count();
  if (!lock_->lease_ends_.compare_exchange_strong(ends, std::min(ends, now.count()))) return false;
  // So that a release that comes when the Keeper has gone looks at lease_ends_; see BaseLock::in_time().
  lock_->granted_monotonic_.store(posix::coarse_monotonic() - lock_->expire_.ns().count(), std::memory_order_relaxed);
  if (!lock_->may_tell(hold)) {
    lost_.request_stop();
    return true;
  }
  const std::string why = now >= last_renewal_ ? std::string{"its keeper's lifetime is over"}
                          : failure_.empty()  ? std::string{"it was not renewed in time, as when a process is stopped"}
                                              : "it could not be renewed in time; the last try said: " + failure_;
  tell(LockLostException{Errc::lost, fmt::format("lock '{}' ({}): the hold ended before it was released: {}", printable(lock_->name_),
                                                       lock_->backend_, why), lock_->name_, lock_->backend_});
  return true;
}

// The lock is not touched any more: either of the two may destroy it.
void Keeping::tell(const LockException& what) noexcept {
  lost_.request_stop();
  if (!on_lost_) return;
  try {
    on_lost_(what);
  } catch (...) {
  }
}

}  // namespace sherlock::detail

namespace sherlock {

// What tells the users of the keeper, now gone, of a loss.
std::stop_source BaseLock::dismiss_keeper() noexcept {
  const std::shared_ptr<detail::Keeping> keeping = detail::Keeping::of(*this);
  if (!keeping) return std::stop_source{std::nostopstate};
  keeping->end();
  keeping->detach();
  return keeping->lost();
}

void BaseLock::tell_keeper() noexcept {
  if (const std::shared_ptr<detail::Keeping> keeping = detail::Keeping::of(*this)) keeping->lost().request_stop();
}

}  // namespace sherlock
