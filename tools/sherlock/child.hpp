// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "signals.hpp"

namespace sherlock::cli {

// How a command ended: one of both is not 0.
struct Ending {
  int code = 0;
  int signal = 0;
};

// The command. Started by posix_spawn: a fork() would make the library take the lock's descriptors away from the child.
class Child {
 public:
  // `command` ends with a null pointer. The child has our streams, our group and an empty signal mask; `more_environment`
  // ("NAME=value") wins over ours; `inherited` are descriptors that stay open in it. Throws std::system_error with errno when it
  // cannot be started.
  Child(char* const command[], const std::vector<std::string>& more_environment, const std::vector<int>& inherited, const Signals& signals);

  // Its ending, if it has ended. Not to be asked again then.
  std::optional<Ending> ended();
  void send(int signal) const;
  // Unless it sent it itself (`kill 0` in a script), or, if it `was_there`, has it from the terminal already.
  void forward(const siginfo_t& signal, bool was_there = true) const;

 private:
  pid_t pid_ = 0;
};

}  // namespace sherlock::cli
