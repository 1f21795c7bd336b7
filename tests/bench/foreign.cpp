// SPDX-License-Identifier: MIT
// Somebody who knows nothing of us has the file locked with flock(2), and lets go while one of us waits: by closing it, as flock(1) does at its
// end, and by unlocking what he keeps open, which nothing announces.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <atomic>

#include "bench.hpp"

namespace bench {
namespace {

struct State {
  std::atomic<int> round, held, waiting, granted;
  std::atomic<std::int64_t> let_go, granted_at;
};

void be_foreign(State& s, const std::string& path, int rounds, bool closes) {
  stress::Dice dice{1};
  int fd = -1;
  for (int round = 1; round <= rounds; ++round) {
    await([&] { return s.round >= round; });
    if (fd < 0) fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) throw std::runtime_error{"cannot lock as a foreigner"};
    s.held = round;
    await([&] { return s.waiting >= round; });
    stress::nap(dice.time(500, 12'000));
    s.let_go = now_ns();
    if (closes)
      close(std::exchange(fd, -1));
    else
      flock(fd, LOCK_UN);
  }
}

std::vector<double> measure(const stress::Store& store, int rounds, bool closes) {
  const stress::Shared<State> s;
  const Kind kind = sherlock(store, "foreign", {.timeout = std::chrono::seconds{20}});
  const auto lock = kind.make();
  lock->pairs(1);
  Children foreigner;
  foreigner.add([&, path = store.path("foreign")] { be_foreign(*s, path, rounds, closes); });
  std::vector<double> took;
  for (int round = 1; round <= rounds; ++round) {
    s->round = round;
    await([&] { return s->held == round; });
    s->waiting = round;
    lock->lock();
    took.push_back(static_cast<double>(now_ns() - s->let_go) / 1000);
    lock->unlock();
  }
  foreigner.join();
  return took;
}

}  // namespace

void foreign(Bench& bench) {
  const stress::Store* store = bench.store("file");
  if (!store) return bench.report.note("skipped: only files can be locked by foreigners");
  for (const bool closes : {true, false}) {
    const std::string how = closes ? "flock(1) lets go" : "a foreigner unlocks and keeps the file open";
    bench.report.progress(how);
    const std::vector<double> took = measure(*store, bench.choose(1000, 200, 10), closes);
    bench.report.add({how + ": the next holder, median", "sherlock file", median(took), "us", Bound{10'000}});
    bench.report.add({how + ": the next holder, 99.9 % within", "sherlock file", quantile(took, 0.999), "us", Bound{10'000}});
  }
}

}  // namespace bench
