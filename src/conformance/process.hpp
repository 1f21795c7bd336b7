// SPDX-License-Identifier: MIT
// The program, started once more to play a part: the judge, or one of its peers. It is told which through its channel, so that
// no client with a password in it stands in the list of processes.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "conformance/channel.hpp"

namespace sherlock::conformance {

// The word that makes peer_main() take over.
inline constexpr const char* kPlay = "--play-conformance";

class Process {
 public:
  // Its channel is its stdin, and `spare` (for a child that it forks) its stdout, until it has moved them. A leader has a process group of its
  // own, to which everybody belongs whom it starts.
  enum class Group { leader, member };
  Process(const std::string& program, Group group);
  // Kills it, and whoever is left of its group if it was the leader.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  Channel& channel() { return channel_; }
  // The end of a channel that a forked child of it would use. Good for one child.
  Channel take_spare() { return std::move(spare_); }

  // Each returns when it has happened.
  void kill();
  void stop();
  void go_on();
  // Of a program that ends by itself. Empty where it ended well, otherwise how: "ended with exit code 3", "was killed by signal 11 (...)".
  std::string wait(std::chrono::nanoseconds patience) const;

 private:
  void signal(int number, int event);

  const Group group_;
  pid_t pid_ = -1;
  bool ended_ = false;
  Channel channel_, spare_;
};

// In the program that was started so: moves the streams out of the way.
struct Played {
  Channel channel, spare;
};
Played take_part();

// Starts the same program anew in the same process, with the same channels. Returns only if that fails.
void start_anew(const Channel& channel, const Channel& spare);

}  // namespace sherlock::conformance
