// SPDX-License-Identifier: MIT
// THE contract. What every lock promises, whichever store keeps it.
//
// A lock object is one owner of one name. Of all objects with that name in that store, in one thread, in one process or in
// many, at most one holds the lock at a time. A hold ends by release, by the death of the process, or, if `expire` was given,
// when that time has passed since the last acquire() or renew(). A holder with an expiry that was paused past it can overlap
// with its successor, as with every lease: check fence() where it matters.
//
//   state      acquire, lock       try_acquire..   release          unlock    renew         held   fence
//   not held   waits, then held    held or false   LockNotHeld..    -         LockNotHeld.. false  LockNotHeld..
//   held       waits (not re-entrant)  false       not held         not held  true, false   true   the fence
//   lost       acquires anew       acquires anew   LockLost..       tells     false         false  LockNotHeld..
//
// "Lost" is a hold that ended other than by release: past its expiry, or as the store says. Every verb may throw BackendException
// when the store fails, except unlock(), the destructor, held(), fence() and abandoned(), which never ask it or never throw.
//
// Threads: every verb may be called from any thread at any time. Threads that share an object exclude each other and share its hold: any of
// them may release it. With an expiry, use one object a thread. Processes: a forked child does not hold its parent's locks.
// Signal handlers: no verb may be called from one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <sherlock/claim.hpp>
#include <sherlock/error.hpp>
#include <sherlock/export.hpp>
#include <sherlock/holder.hpp>
#include <sherlock/options.hpp>
#include <sherlock/traits.hpp>

namespace sherlock {

namespace detail {
class Keeping;
class Turn;
}  // namespace detail

class SHERLOCK_API BaseLock {
 public:
  BaseLock(const BaseLock&) = delete;
  BaseLock& operator=(const BaseLock&) = delete;
  virtual ~BaseLock();

  // Waits up to the lock's timeout, then throws LockTimeoutException, which says who has the lock and since when. The first try
  // is made at once, the last at the deadline.
  void acquire();
  // The same, or LockCancelledException once a stop is requested; if it was requested before, no try is made.
  void acquire(std::stop_token stop);
  // One try. False: somebody has it, perhaps this object. Never waits for a holder.
  [[nodiscard]] bool try_acquire();
  // Waits this long at most. Nothing, less or no number is one try.
  [[nodiscard]] bool try_acquire_for(Duration timeout) { return try_acquire_within(timeout); }
  // Waits until then at most; an instant that has passed is one try.
  template <class AnyClock, class AnyDuration>
  [[nodiscard]] bool try_acquire_until(const std::chrono::time_point<AnyClock, AnyDuration>& deadline) {
    for (;;) {
      const Duration left = Duration::between(AnyClock::now().time_since_epoch(), deadline.time_since_epoch());
      if (try_acquire_within(left)) return true;
      if (!(AnyClock::now() < deadline)) return false;  // a clock that can be set back may say: not yet
    }
  }

  // Lets go, and says how the hold was: LockNotHeldException, LockLostException (a successor is untouched), or BackendException
  // (still held then; may be tried again).
  void release();
  // Moves the expiry to now + expire. False: the lease is gone (told to on_lost), stop touching what it protected.
  [[nodiscard]] bool renew();

  // Whether anybody holds the lock, as the store says. Stale when it is read.
  [[nodiscard]] bool locked() const;
  // Whether this object holds it, as far as can be told without asking the store.
  [[nodiscard]] bool held() const noexcept;
  // Who holds it; empty when free. Stale when it is read.
  [[nodiscard]] std::optional<Holder> holder() const;
  // The fencing token of this hold: a later hold of the name has a larger one.
  [[nodiscard]] std::uint64_t fence() const;
  // Whether the hold before this one ended by death or by its expiry: what it protected may be half done.
  [[nodiscard]] bool abandoned() const;

  // The names of the standard: every lock is a TimedLockable, for std::unique_lock, std::lock_guard and std::scoped_lock.
  void lock() { acquire(); }
  [[nodiscard]] bool try_lock() { return try_acquire(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& timeout) {
    return try_acquire_within(timeout);
  }
  template <class AnyClock, class AnyDuration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<AnyClock, AnyDuration>& deadline) {
    return try_acquire_until(deadline);
  }
  // Lets go if held. What goes wrong is told to on_lost.
  void unlock() noexcept;

  const std::string& name() const noexcept { return name_; }
  const std::string& ns() const noexcept { return ns_; }
  const std::string& key() const noexcept { return key_; }
  const std::string& label() const noexcept { return label_; }
  const std::string& backend() const noexcept { return backend_; }
  Duration expire() const noexcept { return expire_; }
  Duration timeout() const noexcept { return timeout_; }
  Duration retry_interval() const noexcept { return retry_interval_; }

  // Descriptors that keep this hold alive: while a child that was given them lives, the death of this process does not free the
  // lock. They are close-on-exec; a spawner passes them on on purpose (posix_spawn_file_actions_adddup2 with both the same).
  // Empty where the backend has none, or nothing is held.
  [[nodiscard]] std::vector<int> inheritable() const;

 protected:
  // Who keeps two threads that share an object apart in do_acquire.
  enum class Threads {
    one_at_a_time,   // BaseLock does: at most one do_acquire or do_wait runs at a time on an object
    store_excludes,  // the store's own atomic step does: do_acquire may run in several threads at a time, and the only
                     // bookkeeping in it is done by whoever was granted or is the one waiter (do_wait, Attempt::waiting and last
                     // are still one at a time). Costs an uncontended acquire nothing
    store_decides_at_once,  // so does the store, and it answers do_acquire_at_once and do_release_at_once as well
  };

  // Options that are not given come from configure(), then from `traits`, then from the library. `backend` is the name that
  // exceptions carry. ConfigurationException when an option or a name is refused.
  BaseLock(std::string name, Options options, const Traits& traits = {}, std::string_view backend = "custom",
           Threads threads = Threads::one_at_a_time);

  // Every backend's destructor must call this: ~BaseLock can no longer reach do_release. Releases if held; never throws.
  void let_go() noexcept;

 private:
  // What a backend writes. Hooks may throw; what is not a LockException becomes a BackendException. A hook keeps no owner, reads no
  // clock but the claim's, knows no timeout. The others may run beside do_acquire and do_wait, on one object too.

  // One atomic step of the store: grant the claim if nobody holds the key, or its holder is dead or its expiry has passed.
  virtual std::optional<Grant> do_acquire(const Claim& claim) = 0;
  // Let go of the hold named by claim.owner and claim.fence. False: it was no longer ours; nothing was touched.
  virtual bool do_release(const Claim& claim) = 0;
  // Move the hold's expiry to claim.now() + claim.expire. False: it was no longer ours, or had expired; nothing was touched.
  virtual bool do_renew(const Claim& claim) = 0;
  // Whether anybody holds the key. Never makes somebody's try fail.
  virtual bool do_locked(const Claim& claim) const = 0;
  virtual std::optional<Holder> do_holder(const Claim& claim) const = 0;
  // Sleep until the lock may be free, a stop is requested, or `deadline` (Clock::monotonic()) has come. May wake early, can never
  // grant. A place in a queue that is kept between calls is given up when the stop is requested: a wait that ends otherwise than by a
  // grant or a do_acquire with Attempt::last ends with such a call. Default: sleeps.
  virtual void do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop);
  // The short way, for a store that excludes threads and needs no claim where nobody is in the way (Threads::store_decides_at_once). Asked only in the process
  // that made the object, or to which do_acquire has granted it. `wall` is the wall clock of some milliseconds ago in nanoseconds, for people. The fence of a
  // hold that never ends (`lease_ends` zero) or ends at that instant of CLOCK_BOOTTIME, granted because the key was free and not abandoned; 0 where that cannot
  // be said at once: then do_acquire is asked. do_release and do_renew know such a hold by claim.fence.
  virtual std::uint64_t do_acquire_at_once(std::int64_t wall, std::chrono::nanoseconds lease_ends) noexcept;
  // Whether the hold with that fence was let go. False: nothing was touched, and do_release is asked.
  virtual bool do_release_at_once(std::uint64_t fence, std::int64_t wall) noexcept;
  // See inheritable().
  virtual std::vector<int> do_inheritable(const Claim& claim) const;

  friend class Lock;             // forwards the hooks to the configured backend
  friend class detail::Keeping;  // renews a hold; see keeper.hpp
  explicit BaseLock(BaseLock* inner);

  enum class State : std::uint8_t { none, held, lost, kept };  // kept: held, and a Keeper is at it
  struct Hold;

  bool try_acquire_within(Duration timeout);
  bool acquire_quickly();
  void acquire_with_care();
  bool acquire_at_once();
  bool acquire_within(Duration timeout, const std::stop_token& stop);
  bool wait_for_grant(std::chrono::nanoseconds deadline, const std::stop_token& stop);
  bool attempt(Attempt attempt, Duration patience);
  bool attempt_in_turn(Attempt attempt, Duration patience);
  bool ask(const Claim& claim, bool& old_hold_lost);
  void end_wait() noexcept;
  detail::Turn& turn() const;
  Claim claim(Attempt attempt, Duration patience, std::chrono::nanoseconds deadline = {}) const noexcept;
  Claim claim_of(const Hold& hold) const noexcept;
  Claim question() const noexcept;
  Hold hold() const noexcept;
  bool late(const Hold& hold) const noexcept;
  void establish_beside(std::uint64_t fence, std::chrono::nanoseconds lease_ends);
  void establish(Owner owner, const Grant& grant, std::chrono::nanoseconds lease_ends) noexcept;
  bool settle_old_hold() noexcept;
  void establish_at_once(std::uint64_t fence, std::chrono::nanoseconds lease_ends);
  bool acquire_lease_quickly(std::int64_t wall);
  bool in_time(std::int64_t wall) const noexcept;
  template <bool kLease, bool kAlone, class WithCare>
  void let_go_quickly(WithCare with_care);
  template <bool kLease, bool kAlone>
  void release_quickly();
  template <bool kLease, bool kAlone>
  void unlock_quickly() noexcept;
  bool end_hold(Hold hold);
  bool tell_store(const Hold& hold, bool late);
  static Hold hold_let_go(std::uint64_t word, std::uint64_t fence) noexcept;
  void release_with_care(std::uint64_t let_go, std::uint64_t fence);
  void unlock_with_care(std::uint64_t let_go, std::uint64_t fence) noexcept;
  void clean_up(const Hold& hold) noexcept;
  bool let_go_of(const Hold& hold) noexcept;
  enum class Renewal { done, lost, ended };  // lost: on_lost is to be told. Ended: it knows, or there is nothing to tell
  Renewal renew_within(const Hold& hold, Duration patience);
  bool prolong(const Hold& hold, std::chrono::nanoseconds lease_ends) noexcept;
  bool mark(const Hold& hold, State state) noexcept;
  std::stop_source dismiss_keeper() noexcept;
  void tell_keeper() noexcept;
  bool may_tell(const Hold& hold) noexcept;
  void tell(const LockException& what) noexcept;
  [[noreturn]] void throw_timeout(std::chrono::nanoseconds waited) const;
  [[noreturn]] void throw_cancelled(const char* when) const;
  [[noreturn]] void throw_not_held(const char* verb) const;
  LockLostException lost() const;

  const std::string name_, backend_;
  std::string ns_, label_, key_;
  Duration timeout_, retry_interval_;
  OnLost on_lost_;
  const Threads threads_;
  const bool at_once_;  // the short way is open
  ClaimWords words_;  // the strings above
  Duration patience_;  // what the store is given to answer a verb that does not wait

  // The hold. Written by the one thread that was granted or lets go; atomic because the others may look. A store that
  // excludes makes that one thread, so plain loads and stores do.
  std::atomic<std::uint64_t> process_{0};    // whose hold it is: a forked child sees another number
  std::atomic<std::int64_t> lease_ends_{0};  // Clock::boottime(); only where expire is not never
  std::atomic<std::int64_t> granted_wall_{0}, granted_monotonic_{0};  // coarse readings before the grant, likewise; see at_once.cpp
  std::atomic<std::uint64_t> told_{0};  // the last hold of which on_lost has heard
  mutable std::atomic<detail::Turn*> turn_{nullptr};  // whose turn among threads that share the object; made when needed
  std::atomic<detail::Keeping*> keeper_{nullptr};     // whoever renews the hold in a thread of its own; written with a mutex, see keeper.cpp

  // All that the short way needs: one cache line, with what a backend adds to it first.
  std::atomic<bool> abandoned_{false};
  Duration expire_;
  BaseLock* const store_;  // whose do_acquire and do_release are asked: this, or the one that a Lock stands for, at no further call
  // In which the short way is open: process_; no process where the store has no such way, or where a hold was granted that its predecessor had abandoned.
  static constexpr std::uint64_t kNoProcess = ~std::uint64_t{0};
  std::atomic<std::uint64_t> quick_process_{kNoProcess};
  std::atomic<std::uint64_t> hold_{0};  // Owner::hold of the present or last hold << 2 | State
  std::atomic<std::uint64_t> fence_{0};
};

}  // namespace sherlock
