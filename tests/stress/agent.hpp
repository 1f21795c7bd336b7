// SPDX-License-Identifier: MIT
// A process that does with a lock what it is told. It stays for as long as a scene is played, so that a thousand plays need no thousand forks of it.
#pragma once

#include "detector.hpp"
#include "posix/futex.hpp"
#include "store.hpp"

namespace stress {

// What it can be told. A verb is over when it has been done; `take` and `take_lease` leave the agent with the lock.
enum class Verb : std::uint32_t { none, use, use_other, take, take_lease, let_go, let_go_late };

class Agent {
 public:
  // Its process is that of `who` in the detector's books.
  Agent(const Store& store, Detector& detector, int who);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void tell(Verb verb);
  // Whether it has done what it was told, in time.
  bool done(nanoseconds patience) const;
  bool busy() const { return seat_->verb.load() != 0; }
  // Of what it did last: when it was granted the lock, and whether it went well.
  std::int64_t granted() const { return seat_->granted; }
  bool went_well() const { return seat_->well; }
  static constexpr nanoseconds kLease = milliseconds{1};

 private:
  struct Seat {
    sherlock::posix::Word verb;
    std::atomic<std::int64_t> granted;
    std::atomic<bool> well;
  };
  static void serve(Seat& seat, const Store& store, Detector& detector, int who);

  const Shared<Seat> seat_;
  pid_t pid_;
};

// A verb's last word is 0; both sides sleep on it.
void await_change(const sherlock::posix::Word& word, std::uint32_t from, nanoseconds patience);

}  // namespace stress
