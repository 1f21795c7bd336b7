// SPDX-License-Identifier: MIT
// Workers that hold many locks for a moment each and are killed every 5 to 10 ms, a random one at a time. Most of their work is many short
// holds of whatever name nobody else is at; one name is fought for, with waits and with holds that last.
#pragma once

#include "detector.hpp"
#include "store.hpp"

namespace stress {

inline constexpr int kTorturedNames = 12;  // the first is the one that is fought for
inline constexpr int kMaxCrews = 2;

struct Torture {
  Detector name[kTorturedNames];
  std::atomic<std::uint64_t> timeouts, leaked, losses, failed;      // what workers found
  std::atomic<std::uint64_t> kills, inside, stuck, longest;         // what their supervisors did and saw
  std::atomic<int> descriptors;                                     // of a process that has used every name
  std::atomic<std::int32_t> pid[kMaxCrews][kMaxWorkers];            // as the workers see themselves
  std::atomic<std::uint64_t> twins;                                 // workers that began beside one of the other crew with the same pid
  std::atomic<int> ready;                                           // crews that are
  std::atomic<bool> stop[kMaxCrews];

  void tell(Report& report, int debris) const;
};

// Has every name used by one process, so that the others can be held to its descriptors.
void measure(Torture& t, const Store& store);

// A crew's workers have numbers of their own. It begins when all `crews` are ready, and returns after so many seconds, when all its workers have ended.
struct Crew {
  int number, crews, workers;
  int first_worker() const { return number * workers; }
};
void supervise(Torture& t, const Store& store, Crew crew, std::uint64_t seed, double seconds);

}  // namespace stress
