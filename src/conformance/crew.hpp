// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace sherlock::conformance {

// Runs body(0) to body(count - 1) at a time, each in its thread, and returns when all are done. Throws what one of them threw.
template <class Body>
void crew(int count, Body body) {
  std::mutex mutex;
  std::exception_ptr thrown;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i)
      threads.emplace_back([&, i] {
        try {
          body(i);
        } catch (...) {
          const std::lock_guard guard{mutex};
          thrown = std::current_exception();
        }
      });
  }
  if (thrown) std::rethrow_exception(thrown);
}

template <class First, class Second>
void side_by_side(First first, Second second) {
  crew(2, [&](int i) { i == 0 ? first() : second(); });
}

}  // namespace sherlock::conformance
