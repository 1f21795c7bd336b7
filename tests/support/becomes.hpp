// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <thread>

#include "support/subprocess.hpp"

namespace support {

// Looks until it is so, at most for kPatience.
template <class Condition>
bool becomes(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition())
    if (std::chrono::steady_clock::now() >= deadline)
      return false;
    else
      std::this_thread::yield();
  return true;
}

}  // namespace support
