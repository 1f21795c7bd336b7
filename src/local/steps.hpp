// SPDX-License-Identifier: MIT
// Marks between the steps of a protocol that processes share; a mark says what has just been done. In the library they are nothing at all. The
// tests compile it a second time with SHERLOCK_STEPS: there a process can be killed, stopped or held up at each mark (tests/stress/steps_file.cpp),
// and for each step a mutant is caught that leaves it out or has it elsewhere (tests/stress/step_mutants).
#pragma once

#ifdef SHERLOCK_STEPS

#include <atomic>

namespace sherlock::local {

inline std::atomic<void (*)(const char* done)> step_hook{nullptr};

inline void step(const char* done) {
  if (const auto hook = step_hook.load()) hook(done);
}

}  // namespace sherlock::local

#define SHERLOCK_STEP(done) ::sherlock::local::step(done)

#else

#define SHERLOCK_STEP(done) static_cast<void>(0)

#endif
