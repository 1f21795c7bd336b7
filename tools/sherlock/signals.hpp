// SPDX-License-Identifier: MIT
// The signals that concern `run`, taken by waiting for them: no handler, nothing that has to be async-signal-safe.
#pragma once

#include <csignal>

#include <chrono>
#include <optional>

namespace sherlock::cli {

using Instant = std::chrono::steady_clock::time_point;

class Signals {
 public:
  // Blocks TERM, INT, HUP, QUIT, USR1, USR2 and CHLD in this thread and those it makes. What the caller ignores stays ignored (nohup), CHLD
  // excepted, without which no exit code could be had. PIPE is ignored: a closed stderr must not end us while the command runs.
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // The next of them; nothing once `until` has come. Any thread.
  std::optional<siginfo_t> wait(Instant until) const;
  // One that ends us or is for the command (everything but CHLD), if there is any already.
  std::optional<siginfo_t> pending() const;

  // What a child must have set to default before it starts.
  const sigset_t& defaults_of_child() const { return defaults_of_child_; }

 private:
  sigset_t taken_, defaults_of_child_;
};

// Whether the kernel gave it to the whole foreground group of a terminal (Ctrl-C), so that a command in our group has it already.
bool came_from_terminal(const siginfo_t& signal);

// Ends this process by that signal, so that a shell sees what happened. Leaves no core dump: the command has left one.
[[noreturn]] void die_of(int signal);

}  // namespace sherlock::cli
