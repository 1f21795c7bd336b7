// SPDX-License-Identifier: MIT
#include "local/parking.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include <sherlock/clock.hpp>

#include "local/presence.hpp"
#include "local/steps.hpp"
#include "local/wait_cells.hpp"
#include "posix/futex.hpp"

namespace sherlock::local {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

constexpr nanoseconds kSlice = milliseconds{50};        // the longest sleep without a look,
constexpr nanoseconds kLongSlice = 3 * kSlice;          // and for one of a crowd behind the heir,
constexpr std::int64_t kFew = 16;                       // which is more than these
constexpr nanoseconds kBlindSlice = milliseconds{8};    // as kSlice where a death would wake nobody; a death is to be noticed within 10
constexpr nanoseconds kHandAfter = microseconds{500};  // a release hands the lock over to an heir that has waited this long
constexpr int kYields = 32;                            // how often the heir lets others run before it sleeps through a grant or a release
constexpr nanoseconds kReservation = milliseconds{5};   // how long a reservation counts: the heir may be stopped
constexpr nanoseconds kForeignStale = milliseconds{60}; // how long a waiter for a foreigner may stand still before it is doubted
constexpr nanoseconds kFirstNap = microseconds{20};     // between looks at the presence of one who is dying,
constexpr nanoseconds kLastNap = milliseconds{2};       // doubling up to this, then kBlindSlice

bool cas(Word64& word, std::uint64_t& expected, std::uint64_t desired) { return word.compare_exchange_strong(expected, desired); }

// How many woke up.
long wake_one_in_queue(Entry& entry) {
  entry.elders.fetch_add(1);
  entry.queue.fetch_add(1);
  SHERLOCK_STEP("wake: the queue's words are changed");
  if (entry.elder_count.load() != 0 && posix::futex_wake(entry.elders) > 0) return 1;
  return posix::futex_wake(entry.queue);
}

void wake_all_in_queue(Entry& entry) {
  entry.elders.fetch_add(1);
  entry.queue.fetch_add(1);
  if (entry.elder_count.load() != 0) posix::futex_wake_all(entry.elders);
  posix::futex_wake_all(entry.queue);
}

// The heir's seat is empty: wakes the one who has slept longest to take it.
void promote(Entry& entry) {
  if (wake_one_in_queue(entry) > 0) return;
  SHERLOCK_STEP("promote: nobody slept");
  std::uint64_t word = entry.word.load();
  if (!(word & gate::kQueue) || (word & gate::kHeir)) return;
  // Nobody sleeps, so the mark may go; but some may be about to, on the counts that they read before the mark went. Hence once more, and all of them:
  // one alone might take the lock without leaving a mark, and the next release would wake nobody.
  if (!cas(entry.word, word, word & ~gate::kQueue)) return;
  SHERLOCK_STEP("promote: the mark is gone");
  wake_all_in_queue(entry);
}

void wake_heir(Entry& entry) {
  entry.heir.fetch_add(1);
  SHERLOCK_STEP("wake: the heir's word is changed");
  posix::futex_wake_all(entry.heir);  // one, or one more that does not know yet that it lost the seat
}

// One of a crowd looks less often, for others look too: a thousand that look twenty times a second leave a slow machine no time for the lock.
nanoseconds slice_of_elder(const Entry& entry) {
  const std::int64_t elders = entry.elder_count.load(std::memory_order_relaxed);
  return std::clamp(elders * (kSlice / kFew), kSlice, kLongSlice);
}

// On the words at once, where the kernel can; otherwise on the first, in short slices.
long sleep_on(posix::FutexWaiter* waiters, unsigned count, nanoseconds until) {
  static std::atomic<bool> cannot{false};
  if (!cannot.load(std::memory_order_relaxed)) {
    const long woken = posix::futex_wait_any(waiters, count, until);
    if (woken >= 0 || (errno != ENOSYS && errno != EPERM)) return woken;
    cannot = true;
  }
  const auto& word = *reinterpret_cast<const Word*>(static_cast<std::uintptr_t>(waiters[0].address));
  const nanoseconds short_slice = clock().monotonic() + kBlindSlice;
  return posix::futex_wait(word, static_cast<std::uint32_t>(waiters[0].value), count > 1 ? std::min(until, short_slice) : until);
}

std::uint64_t next_id(Identity me) {
  static std::atomic<std::uint32_t> waiters{0};
  return std::uint64_t{waiters.fetch_add(1) + 1} << 32 | me.packed();
}

bool dead_heir(const Presence& presence, std::uint64_t heir_id) {
  return heir_id == 0 || !presence.alive(Identity::unpack(static_cast<std::uint32_t>(heir_id)));
}

// It is the one who lets go that looks at the time: a timer of the heir's would have to be set and cancelled on its way to the lock.
bool has_waited_long(const Entry& entry) {
  // Unsigned: a time to come, which nobody writes, has been long ago.
  const auto now = static_cast<std::uint64_t>(clock().monotonic().count());
  return now - entry.heir_since.load(std::memory_order_relaxed) >= static_cast<std::uint64_t>(kHandAfter.count());
}

}  // namespace

Heir call_heir(Entry& entry, std::uint64_t mine) {
  std::uint64_t word = entry.word.load();
  const std::uint64_t ending = gate::with(mine, GateState::acquiring);
  do {
    if (gate::core(word) != mine || !(word & gate::kAsleep)) return Heir::not_called;
  } while (!cas(entry.word, word, (ending | gate::flags(word)) & ~gate::kAsleep));
  SHERLOCK_STEP("call: the gate is closed");
  wake_heir(entry);
  SHERLOCK_STEP("call: the heir is on its way");
  return Heir::called;
}

Sleeper pass_on_unheard(Entry& entry, std::uint64_t mine, Heir heir) {
  std::uint64_t word = entry.word.load();
  for (;;) {
    if (gate::core(word) != gate::core(mine)) return Sleeper::not_ours;
    // Not where it neither sleeps nor was called: the seat may be that of one who is dead.
    const bool hand_over = ((word & gate::kAsleep) || (heir == Heir::called && (word & gate::kHeir))) && has_waited_long(entry);
    if (!cas(entry.word, word, gate::with(word, hand_over ? GateState::reserved : GateState::free) & ~gate::kAsleep)) continue;
    SHERLOCK_STEP("pass on: free or reserved");
    if (word & gate::kAsleep) return Sleeper::heir;
    if (hand_over) return Sleeper::none;
    if ((word & gate::kQueue) && !(word & gate::kHeir)) return Sleeper::queue;
    return Sleeper::none;
  }
}

void wake(Entry& entry, Sleeper sleeper) {
  if (sleeper == Sleeper::heir) wake_heir(entry);
  if (sleeper == Sleeper::queue) promote(entry);
}

bool pass_on(Entry& entry, std::uint64_t mine, Heir heir) {
  const Sleeper sleeper = pass_on_unheard(entry, mine, heir);
  if (sleeper == Sleeper::none) return true;
  wake(entry, sleeper);
  return sleeper != Sleeper::not_ours;
}

// ---------------------------------------------------------------------------------------------------------------- Waiter

bool Waiter::unchanged_for(std::uint64_t word, nanoseconds how_long, nanoseconds now) {
  if (gate::core(word) != seen_) {
    seen_ = gate::core(word);
    seen_since_ = now;
    return false;
  }
  if (now - seen_since_ < how_long) return false;
  seen_since_ = now;  // doubted once; then it has as long again
  return true;
}

bool Waiter::doubts_a_wait_for_a_foreigner(std::uint64_t word) {
  return heir_ && unchanged_for(word, kForeignStale, clock().monotonic());
}

// The flag in the word decides who sits; heir_id says who it is, for those who look whether the heir is alive.
bool Waiter::sit_down(Entry& entry, std::uint64_t word) {
  if (!cas(entry.word, word, (word | gate::kHeir) & ~gate::kAsleep)) return false;
  SHERLOCK_STEP("seat: taken");
  entry.heir_id.store(id_);
  SHERLOCK_STEP("seat: signed");
  return heir_ = true;
}

void Waiter::wait(Companion& companion, const Found& found, nanoseconds until, std::stop_token stop) {
  Entry& entry = *found.entry;
  const Presence& presence = companion.presence();
  if (since_.count() == 0) {
    since_ = clock().monotonic();
    id_ = next_id(presence.me());
    cell_ = WaitCells{companion}.take(found.number);
  }
  Word stopped{0};
  const std::stop_callback on_stop{std::move(stop), [&stopped] {
                                     stopped.store(1);
                                     posix::futex_wake_all(stopped);
                                   }};
  nanoseconds entered{};
  for (;;) {
    // Before the word: what is changed after our look at the word must find us unwilling to sleep.
    const std::uint32_t queue = entry.queue.load(), elders = entry.elders.load(), heir = entry.heir.load();
    SHERLOCK_STEP("wait: the futexes are read");
    std::uint64_t word = entry.word.load();
    SHERLOCK_STEP("wait: the word is read");
    if (!found.current() || stopped.load()) return;
    if (judge(presence, entry, word, [] { return clock().boottime(); }) != Taking::no) return;
    const nanoseconds now = clock().monotonic();
    if (now >= until) return;

    if (heir_) {
      if (!has_seat(entry, word)) {  // somebody took us for dead, or broke our reservation
        heir_ = false;
        continue;
      }
      if (entered.count() == 0) entered = now;
      // A nap that nobody cut short is not worth asking the store: another look at the word is.
      if (!sleep_as_heir(companion, found, word, heir, now, until, stopped) || now - entered >= kSlice) return;
      continue;
    }
    if (!(word & gate::kHeir)) {
      if (!(word & gate::kQueue) || slept_) {  // nobody has slept longer
        sit_down(entry, word);
        continue;
      }
    } else if (slept_) {
      std::uint64_t present = entry.heir_id.load();
      if (dead_heir(presence, present) && cas(entry.heir_id, present, id_)) {
        SHERLOCK_STEP("seat: inherited from the dead");
        heir_ = true;
        continue;
      }
    }
    if (gate::state(word) == GateState::reserved && unchanged_for(word, kReservation, now)) {
      may_break_ = true;
      return;
    }
    if (!(word & gate::kQueue)) {
      if (!cas(entry.word, word, word | gate::kQueue)) continue;
      word |= gate::kQueue;
    }
    SHERLOCK_STEP("wait: in the queue");
    // Whoever wakes up here looks at the word again, and has a seat to take perhaps. The store need not be asked: the heir does that.
    sleep_in_queue(entry, word, queue, elders, now, until, stopped);
  }
}

// True: it was a nap, because nobody would have woken us, and nobody has.
bool Waiter::sleep_as_heir(Companion& companion, const Found& found, std::uint64_t word, std::uint32_t heir_word, nanoseconds now,
                           nanoseconds until, const Word& stopped) {
  Entry& entry = *found.entry;
  // Most likely it is the one who called us that has closed the gate, perhaps on this very processor.
  if (gate::state(word) == GateState::acquiring && yields_++ < kYields) {
    sched_yield();
    return true;
  }
  yields_ = 0;
  until = std::min(until, now + kSlice);
  if (!(word & gate::kAsleep)) {
    entry.heir_since.store(static_cast<std::uint64_t>(since_.count()), std::memory_order_relaxed);
    if (!cas(entry.word, word, word | gate::kAsleep)) return false;
  }
  SHERLOCK_STEP("wait: marked as asleep");

  if (gate::state(word) == GateState::held)
    if (const std::uint64_t expiry = entry.expiry.load() >> 16) {
      const nanoseconds left = nanoseconds{static_cast<std::int64_t>(std::min<std::uint64_t>(expiry, 1ull << 52) * kMicros)} - clock().boottime();
      until = std::min(until, now + std::max(left, nanoseconds{microseconds{50}}));
    }

  posix::FutexWaiter on[3] = {{entry.heir, heir_word}, {stopped, 0}, {}};
  unsigned count = 2;
  bool nap = false;
  const Identity owner = Identity::of(word);
  const bool owned = gate::state(word) != GateState::free && gate::state(word) != GateState::reserved;
  if (owned) {
    const Presence& presence = companion.presence();
    const std::uint32_t life = presence.life(owner).load();
    if (Presence::watched(life)) {
      dying_ = {};
      const std::uint32_t armed = presence.ask_to_be_woken(owner);
      if (armed == 0) return false;
      on[count++] = {presence.life(owner), armed};
    } else {
      // Its thread is gone, and the process is dying, or lives on without that thread, or left a child that keeps the hold alive.
      if (!(dying_ == owner)) {
        dying_ = owner;
        dying_nap_ = kFirstNap;
      }
      until = std::min(until, now + dying_nap_);
      nap = true;
      dying_nap_ = dying_nap_ >= kLastNap ? kBlindSlice : 2 * dying_nap_;
    }
  }
  SHERLOCK_STEP("wait: the heir falls asleep");
  const long woken = sleep_on(on, count, until);
  prefetch(entry);
  SHERLOCK_STEP("wait: the heir is awake");
  // The kernel wakes one sleeper of a dead thread's word; there may be more.
  if (woken == 2) posix::futex_wake_all(companion.presence().life(owner));
  slept_ = true;
  return nap && woken < 0;
}

void Waiter::sleep_in_queue(Entry& entry, std::uint64_t word, std::uint32_t queue_word, std::uint32_t elders_word, nanoseconds now,
                            nanoseconds until, const Word& stopped) {
  const bool reserved = gate::state(word) == GateState::reserved;
  // Who has slept through a slice lost its place in the kernel's queue; among the elders it is ahead of all newcomers.
  const bool elder = now - since_ >= kSlice - milliseconds{1};
  if (elder) entry.elder_count.fetch_add(1);
  until = std::min(until, now + (reserved ? kReservation : elder ? slice_of_elder(entry) : kSlice));
  posix::FutexWaiter on[2] = {elder ? posix::FutexWaiter{entry.elders, elders_word} : posix::FutexWaiter{entry.queue, queue_word}, {stopped, 0}};
  const long woken = sleep_on(on, 2, until);
  const int error = errno;
  SHERLOCK_STEP("wait: awake in the queue");
  if (elder) entry.elder_count.fetch_sub(1);
  // Not after a mere look: that would be jumping the queue.
  if (woken == 0 || (woken < 0 && error == ETIMEDOUT && !reserved)) slept_ = true;
}

// Whoever takes the lock from the heir's seat leaves it; so does an heir whose reservation is broken.
std::uint64_t Waiter::flags_after_taking(const Entry& entry, std::uint64_t word) {
  empties_seat_ = has_seat(entry, word) || (may_break_ && gate::state(word) == GateState::reserved);
  return empties_seat_ ? gate::flags(word) & ~gate::kHeirFlags : gate::flags(word);
}

Sleeper Waiter::took_unheard(Entry& entry, std::uint64_t word_before) {
  std::uint64_t mine = id_;
  cas(entry.heir_id, mine, 0);
  SHERLOCK_STEP("took: unsigned");
  const Sleeper next = empties_seat_ && (word_before & gate::kQueue) ? Sleeper::queue : Sleeper::none;
  done();
  return next;
}

void Waiter::leave(const Found& found) {
  if (!waiting()) return;
  Entry& entry = *found.entry;
  if (found.current()) {
    std::uint64_t word = entry.word.load();
    while (has_seat(entry, word)) {
      // What was reserved for us is free for all.
      const std::uint64_t left = (gate::state(word) == GateState::reserved ? gate::with(word, GateState::free) : word) & ~gate::kHeirFlags;
      if (!cas(entry.word, word, left)) continue;
      SHERLOCK_STEP("leave: the seat is empty");
      std::uint64_t mine = id_;
      cas(entry.heir_id, mine, 0);
      break;
    }
    SHERLOCK_STEP("leave: unsigned");
    // Perhaps we had been woken to take the seat: the next one is to have it.
    word = entry.word.load();
    if ((word & gate::kQueue) && !(word & gate::kHeir)) promote(entry);
  }
  done();
}

void Waiter::done() {
  if (cell_) WaitCells::give_back(cell_);
  *this = Waiter{};
}

}  // namespace sherlock::local
