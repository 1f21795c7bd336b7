// SPDX-License-Identifier: MIT
// Two processes ask all the time whether a lock is held, and who holds it, while one tries for it, to which it is always free.
#include <fmt/core.h>

#include <atomic>

#include "bench.hpp"

namespace bench {

namespace {

struct State {
  std::atomic<bool> stop;
  std::atomic<std::uint64_t> looks, ready;
};

struct Outcome {
  int failures = 0;
  std::uint64_t looks = 0;
};

Outcome measure(const stress::Store& store, int tries) {
  const stress::Shared<State> s;
  Children lookers;
  for (int i = 0; i < 2; ++i)
    lookers.add([&, i] {
      const auto lock = store.lock("looked at");
      s->ready.fetch_add(1);
      for (; !s->stop; s->looks.fetch_add(1)) (void)(i == 0 ? lock->locked() : lock->holder().has_value());
    });
  await([&] { return s->ready == 2; });
  const auto lock = store.lock("looked at");
  int failures = 0;
  for (int i = 0; i < tries; ++i) {
    if (lock->try_acquire())
      lock->release();
    else
      ++failures;
  }
  s->stop = true;
  lookers.join();
  return {failures, s->looks};
}

}  // namespace

void looks(Bench& bench) {
  for (const auto& store : bench.stores) {
    const std::string& backend = store->backend().name();
    const int tries = backend == "sqlite" ? bench.choose(20'000, 2000, 200) : bench.choose(100'000, 20'000, 1000);
    bench.report.progress(backend);
    const Outcome o = measure(*store, tries);
    bench.report.add({fmt::format("failures of {} tries for a free lock, beside locked() and holder()", tries), "sherlock " + backend, o.failures, "", Bound{0}});
    bench.report.add({"looks meanwhile", "sherlock " + backend, static_cast<double>(o.looks), ""});
  }
}

}  // namespace bench
