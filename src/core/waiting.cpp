// SPDX-License-Identifier: MIT
// What a verb does after its first try was refused: it waits for the store to wake it, and tries again until its deadline.
#include <algorithm>
#include <utility>

#include "core/failure.hpp"
#include "core/hold.hpp"
#include "core/turn.hpp"

namespace sherlock {

using detail::kShortSection;
using std::chrono::nanoseconds;

bool BaseLock::wait_for_grant(nanoseconds deadline, const std::stop_token& stop) {
  nanoseconds now = clock().monotonic();
  if (now >= deadline) return false;
  detail::Turn& turn = this->turn();
  if (!turn.enter(deadline, stop)) {
    if (stop.stop_requested()) throw_cancelled("while it waited");
    return attempt(Attempt::first, kShortSection);  // the last try; another thread of this object has the place in the queue
  }
  struct Waiting {
    BaseLock& lock;
    detail::Turn& turn;
    bool settled = false;  // the backend knows that the wait is over
    bool old_hold_lost = false;
    bool has_turn = true;
    ~Waiting() {
      if (has_turn && !settled) lock.end_wait();
      if (has_turn) turn.leave();
      if (old_hold_lost) lock.tell(lock.lost());
    }
  } waiting{*this, turn};

  for (;;) {
    const nanoseconds until = std::min(deadline, retry_interval_.after(now));
    const Claim waiter = claim(Attempt::waiting, kShortSection, deadline);
    detail::guarded(name_, backend_, [&] {
      if (threads_ == Threads::store_excludes) return do_wait(waiter, until, stop);
      const detail::Turn::Sleep sleep{turn, stop};
      do_wait(waiter, until, sleep.token());
    });
    if (stop.stop_requested()) throw_cancelled("while it waited");
    if (threads_ == Threads::one_at_a_time) turn.make_room();
    if (settle_old_hold()) {
      // What is told may use the lock.
      turn.leave();
      waiting.has_turn = false;
      tell(lost());
      // Where the store excludes threads, one that sleeps in it makes no room: it has our place in the queue by now, and we are one of those behind it.
      waiting.has_turn = threads_ == Threads::one_at_a_time ? turn.enter_first(nanoseconds::max()) : turn.enter_first(deadline, stop);
      if (stop.stop_requested()) throw_cancelled("while it waited");
      if (!waiting.has_turn) return attempt(Attempt::first, kShortSection);
    }

    const bool last = clock().monotonic() >= deadline;
    const bool granted = ask(claim(last ? Attempt::last : Attempt::waiting, kShortSection, deadline), waiting.old_hold_lost);
    waiting.settled = granted || last;
    if (waiting.settled) return granted;
    now = clock().monotonic();
    if (now >= deadline) return false;  // a slow store had its last try already
  }
}

// Tells the backend that a wait is over, in the one way it has to know for cancellation anyway.
void BaseLock::end_wait() noexcept {
  try {
    std::stop_source stopped;
    stopped.request_stop();
    do_wait(claim(Attempt::waiting, kShortSection), clock().monotonic(), stopped.get_token());
  } catch (...) {
  }
}

detail::Turn& BaseLock::turn() const {
  detail::Turn* present = turn_.load(std::memory_order_acquire);
  while (!present || present->process() != posix::process_token()) {
    auto* fresh = new detail::Turn{posix::process_token()};
    // In a forked child the old one may be locked for ever by a thread that does not exist there: left alone.
    if (turn_.compare_exchange_strong(present, fresh, std::memory_order_acq_rel)) {
      if (present) posix::leave_to_parent(present);
      return *fresh;
    }
    delete fresh;
  }
  return *present;
}

void BaseLock::do_wait(const Claim&, nanoseconds deadline, std::stop_token stop) { clock().sleep_until(deadline, std::move(stop)); }

}  // namespace sherlock
