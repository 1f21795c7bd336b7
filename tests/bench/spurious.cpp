// SPDX-License-Identifier: MIT
// Two processes ask all the time whether a lock is held, and who holds it, while one tries for it, to which it is always free.
#include <fmt/core.h>

#include <atomic>

#include "bench.hpp"

namespace bench {

void spurious(Bench& bench) {
  struct State {
    std::atomic<bool> stop;
    std::atomic<std::uint64_t> looks, ready;
  };
  const stress::Shared<State> s;
  Children lookers;
  for (int i = 0; i < 2; ++i)
    lookers.add([&, i] {
      const auto lock = bench.store.lock("looked at");
      s->ready.fetch_add(1);
      for (; !s->stop; s->looks.fetch_add(1)) (void)(i == 0 ? lock->locked() : lock->holder().has_value());
    });
  await([&] { return s->ready == 2; });
  const auto lock = bench.store.lock("looked at");
  const int tries = bench.choose(100'000, 1000);
  int failures = 0;
  for (int i = 0; i < tries; ++i) {
    if (lock->try_acquire())
      lock->release();
    else
      ++failures;
  }
  s->stop = true;
  lookers.join();
  bench.report.row(fmt::format("failures of {} tries for a free lock, beside {} looks", tries, s->looks.load()), failures, "", 0);
}

}  // namespace bench
