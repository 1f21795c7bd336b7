// SPDX-License-Identifier: MIT
// Is the holder alive? The kernel says: each process has an open-file-description lock on a byte of the companion, which the kernel
// frees when the process is gone, across pid and user namespaces, never for a zombie's sake and never too early. Pids decide nothing.
//
// A life word beside the slot, a robust mutex of some thread of the process, wakes those who sleep on it when that thread dies. It is a
// hint only: the thread may die alone, and the word is marked before the other threads of a dying process have stopped.
#pragma once

#include <cstdint>

#include "local/layout.hpp"
#include "local/word.hpp"
#include "posix/descriptors.hpp"

namespace sherlock::local {

class Presence {
 public:
  // Claims a slot of `slots` through `file`, which must stay open for as long as this process is to be seen alive.
  // Throws detail::Failure when all slots are taken.
  Presence(const posix::LockFd& file, Slot* slots);

  Identity me() const { return me_; }
  bool alive(Identity who) const;
  // Of a gate word.
  bool alive(std::uint64_t word) const { return alive(Identity::of(word)); }

  // Whether somebody else's death would wake sleepers on its life word: a thread of it is alive that has it locked.
  const Word& life(Identity who) const { return *reinterpret_cast<const Word*>(&slots_[who.slot].life); }
  static bool watched(std::uint32_t life_word) { return (life_word & FUTEX_TID_MASK) != 0 && (life_word & FUTEX_OWNER_DIED) == 0; }
  // Asks the kernel to wake sleepers when the thread dies. The word to sleep on; 0: it changed, look again.
  std::uint32_t ask_to_be_woken(Identity who) const;

  // The thread that had our life word locked may be gone; the calling thread takes its place. A load when there is nothing to do.
  void rearm() const {
    if (!watched(life(me_).load(std::memory_order_relaxed))) [[unlikely]]
      take_life_word();
  }

  // Whether the descriptor still is ours: somebody may have closed what was not his (close_range), and our locks with it.
  bool intact() const { return file_.intact(); }
  // To be inherited by a child that is to keep this process's holds alive.
  int descriptor() const { return file_.get(); }

  // Lets go of the life word, so that its memory may go. False: another thread has it; the memory must stay.
  bool withdraw();

  // Whether any process is present in a companion.
  static bool anybody(int file);

 private:
  void publish_facts(Slot& slot) const;
  void take_life_word() const;

  const posix::LockFd& file_;
  Slot* const slots_;
  Identity me_;
};

}  // namespace sherlock::local
