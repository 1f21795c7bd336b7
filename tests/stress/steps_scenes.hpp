// SPDX-License-Identifier: MIT
// The situations in which a file lock is hurt between two steps, and what the others do meanwhile.
#pragma once

#include <sherlock/file_lock.hpp>

#include <functional>
#include <string>
#include <vector>

#include "detector.hpp"

namespace stress {

// hold: only the thread that got there stands still, and only until the others have had their way.
enum class How { none, kill, stop, hold };

// What can be found broken. The words are those of the command line.
enum class Wrong { overlap, fence, stuck, lost, untold, refused, looks, table, abandoned, debris, slow, failed, kinds };
inline constexpr const char* kWrongs[] = {"overlap", "fence", "stuck",     "lost",   "untold", "refused",
                                          "looks",   "table", "abandoned", "debris", "slow",   "failed"};

inline constexpr std::int64_t kStuck = 4'000'000'000;  // what is broken, on whatever busy machine

inline bool verbose = false;  // says what was found broken, on the standard error output

enum : int { victim_id, survivor_id, helper_id, rival_id = helper_id + 8, last_id };

// As Detector::occupant.
constexpr std::uint64_t inside_as(int who) { return static_cast<std::uint64_t>(who + 1) | 1ull << 16; }

inline constexpr std::uint32_t kMostPoints = 20000;

// Shared by all processes of a run.
struct Stage {
  Detector lock;  // of "x"
  std::atomic<std::uint64_t> wrong[static_cast<int>(Wrong::kinds)];
  std::atomic<bool> arrived, go;  // the victim at its point; it may go on
  std::atomic<bool> ready;        // who acts meanwhile has done what the victim is to find when it goes on
  std::atomic<bool> victim_done, all_done;
  std::atomic<bool> orphan;            // the victim was killed while it held
  std::atomic<bool> late;              // somebody is, and has the file with others
  std::atomic<bool> died;              // somebody did: late holders may be counted that are none
  std::atomic<bool> cue[4];            // between the actors of a scene
  std::atomic<std::int64_t> longest;   // somebody waited
  std::atomic<std::uint64_t> blocked;  // somebody waited for a victim that stood still in the short section
  std::atomic<std::uint32_t> number;   // likewise
  std::atomic<std::uint32_t> points;
  const char* point[kMostPoints];  // as passed; the processes are forks, so that an address is good in all
};

class Ground {
 public:
  Ground(std::string parent, Stage& stage, How how, const char* at, std::uint64_t nth)
      : parent{std::move(parent)}, directory{this->parent + "/store"}, how{how}, at{at}, nth{nth}, stage{stage} {}

  void arm() const;  // for the victim: from now on points count
  // For a helper, which is seen to the end after the survivor; goes on then, should it have stopped.
  void help(const std::function<void()>& body);

  void complain(Wrong what, const char* why) const;
  // Whether it came soon enough; complains of what did not.
  bool wait_for(const std::atomic<bool>& cue, std::int64_t at_most = kStuck) const;

  sherlock::FileLock lock(const char* name = "x", sherlock::Options options = {}) const;
  std::string path(const char* name = "x") const;
  std::string companion() const { return directory + "/.sherlock"; }

  const std::string parent, directory;
  const How how;
  const char* const at;
  const std::uint64_t nth;
  Stage& stage;
  std::vector<pid_t> helpers;
  std::vector<pid_t> strays;       // killed in the end, whatever became of them
  std::function<void()> at_point;  // done by the victim itself instead of standing still
};

// What the others do while the victim is stopped or dead: other names live, and this one too, unless the victim stands in the short section.
void others_go_on(Ground& ground);
// And while only a thread of it is held up, where there is nothing more awkward: they use the lock, look and clean up.
void others_use_it(Ground& ground);

struct Scene {
  const char* name;
  std::function<void(Ground&)> before;
  std::function<void(Ground&)> victim;
  std::function<void(Ground&)> meanwhile = others_use_it;  // of the mode `hold`
  std::function<void(Ground&)> others = others_go_on;      // of `kill` and `stop`
  const char* passes = nullptr;                            // a point without which the scene would not be what it is meant to be
  const char* from = nullptr;                              // no point before this one is of interest,
  const char* up_to = nullptr;                             // and none after this one
  std::vector<How> only = {};
};

const std::vector<Scene>& scenes();

// Beside a foreign shared lock nobody is granted, and told so at once, unless there may be a late holder.
void shared_keeps_out(const Ground& ground);
// Waits for the lock and gives it back.
void survive(Ground& ground);
// When all is over: the lock is free and says so, the table is whole, nothing is left behind.
void look_around(Ground& ground);

}  // namespace stress
