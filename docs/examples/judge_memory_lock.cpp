// SPDX-License-Identifier: MIT
// Judges the backend of memory_lock.hpp by the contract, as sherlock-conform does with ours: judge_memory_lock --backend memory
#include <sherlock/conformance.hpp>
#include <sherlock/registry.hpp>

#include "memory_lock.hpp"

int main(int argc, char** argv) {
  sherlock::registry().add(sherlock::backend<example::MemoryLock>({.name = "memory", .library = "std", .default_client = "default"}));
  return sherlock::conformance::main(argc, argv);
}
