// SPDX-License-Identifier: MIT
// Waiting for a gate word without polling it, in order. One waiter at a time is the heir: it sleeps on a word of its own and on the life word of
// whoever has the lock, so that a release and a death both wake it, and once it has waited for a while, the lock is handed over to it. The others sleep
// behind it; whoever leaves the heir's seat wakes one of them to take it. Sleeps are cut into slices: a wake that is lost,
// because somebody was killed on the way to it, costs a slice and never more.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>

#include "local/companion.hpp"
#include "local/expiry.hpp"
#include "local/layout.hpp"
#include "local/table.hpp"
#include "local/word.hpp"

namespace sherlock::local {

enum class Heir { not_called, called };

// From our own word `mine` (acquiring, held or foreign) to free, or to reserved where the heir has waited long; wakes who is to be
// woken. False: the word is not ours any more.
bool pass_on(Entry& entry, std::uint64_t mine, Heir heir = Heir::not_called);

// For one who has something else to let go of before that: wakes an heir that sleeps, whose way here takes longer. Called: our word, which was `mine`
// (held), is acquiring now.
[[nodiscard]] Heir call_heir(Entry& entry, std::uint64_t mine);

// The same in two steps, for one who has something else to let go of before whoever is woken wants it.
enum class Sleeper { none, heir, queue, not_ours };  // the last: nobody, for the word is not ours any more
[[nodiscard]] Sleeper pass_on_unheard(Entry& entry, std::uint64_t mine, Heir heir = Heir::not_called);
// The entry may be another key's by now: then somebody there wakes up for nothing.
void wake(Entry& entry, Sleeper sleeper);

// Whether the word is there to be taken, and from whom.
enum class Taking {
  no,
  free,
  dead,     // its owner died holding, granting or releasing
  expired,  // its owner lives, but its lease is over
  wait_over,  // its owner waited for a foreigner, and died
  foreign,    // its owner has waited for a foreigner for so long without moving that the foreigner is to be asked for
};

enum class Precedence { ignored, respected };

// For one who is not waiting. `boot` is read only where a lease is in question.
template <class ReadBoottime>
Taking judge(const Presence& presence, const Entry& entry, std::uint64_t word, Precedence precedence, ReadBoottime boot);

// How many late lease holders may still have the file locked: round 32 | count 32, from the top. The count is too high after a death, until
// somebody has the file alone; then there are none, and a new round begins, in which nobody takes back what was counted in an older one.
namespace stragglers {

inline bool any(const Entry& entry) { return static_cast<std::uint32_t>(entry.stragglers.load()) != 0; }
inline std::uint32_t round(const Entry& entry) { return static_cast<std::uint32_t>(entry.stragglers.load() >> 32); }

// One more. In which round.
inline std::uint32_t count(Entry& entry) { return static_cast<std::uint32_t>(entry.stragglers.fetch_add(1) >> 32); }

inline void take_back(Entry& entry, std::uint32_t counted_in) {
  std::uint64_t present = entry.stragglers.load();
  while (present >> 32 == counted_in && static_cast<std::uint32_t>(present) != 0 && !entry.stragglers.compare_exchange_weak(present, present - 1)) {
  }
}

inline void none(Entry& entry) {
  std::uint64_t present = entry.stragglers.load();
  while (static_cast<std::uint32_t>(present) != 0 && !entry.stragglers.compare_exchange_weak(present, ((present >> 32) + 1) << 32)) {
  }
}

}  // namespace stragglers

// A lock object's place among the waiters. Used by one thread at a time; where it says nothing else, no system call.
class Waiter {
 public:
  // Sleeps until the word may be taken, `until` has come, or a stop is requested.
  void wait(Companion& companion, const Found& found, std::chrono::nanoseconds until, std::stop_token stop);

  // As the free function, for one who waits and may have precedence.
  template <class ReadBoottime>
  Taking judge(const Presence& presence, const Entry& entry, std::uint64_t word, ReadBoottime boot);
  // The waiters' flags in the word that takes the place of `word`.
  std::uint64_t flags_after_taking(const Entry& entry, std::uint64_t word);
  // To be called after the word was taken: gives up the seat and its cell, and wakes the next one to sit down.
  void took(Entry& entry, std::uint64_t word_before) { wake(entry, took_unheard(entry, word_before)); }
  // In two steps, as pass_on_unheard().
  [[nodiscard]] Sleeper took_unheard(Entry& entry, std::uint64_t word_before);
  // Gives up the place without having got the lock.
  void leave(const Found& found);

  // Forgets everything without touching the store: a forked child's copy of somebody else's place.
  void abandon() { *this = Waiter{}; }
  bool waiting() const { return since_.count() != 0; }

 private:
  bool has_seat(const Entry& entry, std::uint64_t word) const { return heir_ && (word & gate::kHeir) && entry.heir_id.load() == id_; }
  bool doubts_a_wait_for_a_foreigner(std::uint64_t word);
  bool sit_down(Entry& entry, std::uint64_t word);
  bool sleep_as_heir(Companion& companion, const Found& found, std::uint64_t word, std::uint32_t heir_word, std::chrono::nanoseconds now,
                     std::chrono::nanoseconds until, const Word& stopped);
  void sleep_in_queue(Entry& entry, std::uint64_t word, std::uint32_t queue_word, std::uint32_t elders_word, std::chrono::nanoseconds now,
                      std::chrono::nanoseconds until, const Word& stopped);
  bool unchanged_for(std::uint64_t word, std::chrono::nanoseconds how_long, std::chrono::nanoseconds now);
  void done();

  std::chrono::nanoseconds since_{};  // when waiting began
  std::uint64_t id_ = 0;              // as heir_id
  bool heir_ = false;
  int yields_ = 0;
  bool slept_ = false;      // may take the heir's seat before those who have not
  bool may_break_ = false;  // the reservation has lapsed
  bool empties_seat_ = false;
  std::uint64_t seen_ = 0;  // a word that should not stay for long,
  std::chrono::nanoseconds seen_since_{};
  Identity dying_{};  // whose life word is marked while its presence is still there,
  std::chrono::nanoseconds dying_nap_{};
  WaitCell* cell_ = nullptr;
};

template <class ReadBoottime>
Taking judge(const Presence& presence, const Entry& entry, std::uint64_t word, Precedence precedence, ReadBoottime boot) {
  switch (gate::state(word)) {
    case GateState::free: return Taking::free;
    case GateState::reserved: return precedence == Precedence::ignored ? Taking::free : Taking::no;
    case GateState::held:
      if (!presence.alive(word)) return Taking::dead;
      return (entry.expiry.load(std::memory_order_relaxed) >> 16) != 0 && expired(entry, word, boot()) ? Taking::expired : Taking::no;
    case GateState::acquiring: return presence.alive(word) ? Taking::no : Taking::dead;
    case GateState::foreign: return presence.alive(word) ? Taking::no : Taking::wait_over;
  }
  return Taking::no;  // a state that nobody writes: refuse
}

template <class ReadBoottime>
Taking Waiter::judge(const Presence& presence, const Entry& entry, std::uint64_t word, ReadBoottime boot) {
  if (gate::state(word) == GateState::reserved) return has_seat(entry, word) || may_break_ ? Taking::free : Taking::no;
  may_break_ = false;
  const Taking taking = local::judge(presence, entry, word, Precedence::respected, boot);
  return taking == Taking::no && gate::state(word) == GateState::foreign && doubts_a_wait_for_a_foreigner(word) ? Taking::foreign : taking;
}

}  // namespace sherlock::local
