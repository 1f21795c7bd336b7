// SPDX-License-Identifier: MIT
// The programs whose start is measured: they take one lock, print when they had it, and end.
#pragma once

#include <cstdio>
#include <exception>

#include "stress/stress.hpp"

namespace bench {

template <class Take>
int start(Take take) {
  try {
    const auto held = take();
    std::printf("%lld\n", static_cast<long long>(stress::now_ns()));
    std::fflush(stdout);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

// Held to the end of the program.
template <class Lock>
struct Taken {
  explicit Taken(const char* path) : lock{path} { lock.lock(); }
  ~Taken() { lock.unlock(); }
  Lock lock;
};

}  // namespace bench
