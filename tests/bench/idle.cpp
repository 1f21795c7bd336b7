// SPDX-License-Identifier: MIT
// What waiting costs: the share of a processor that each of three waiters takes while nothing happens.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "bench.hpp"

namespace bench {
namespace {

constexpr int kWaiters = 3;

struct State {
  std::atomic<bool> held;
  std::atomic<std::int64_t> used[kWaiters], lasted[kWaiters];
};

std::int64_t own_processor_time() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// The busiest waiter's share, in percent.
double measure(const stress::Store& store, const std::string& name, stress::nanoseconds time,
               const std::function<void(const std::function<void()>& ready)>& hold) {
  const stress::Shared<State> s;
  Children holder;
  holder.add([&] { hold([&] { s->held = true; }); });
  await([&] { return s->held.load(); });
  Children waiters;
  for (int i = 0; i < kWaiters; ++i)
    waiters.add([&, i] {
      const auto lock = store.lock(name);
      if (lock->try_acquire_for(stress::milliseconds{50})) throw std::runtime_error{"the lock is free"};
      const std::int64_t used = own_processor_time(), began = now_ns();
      if (lock->try_acquire_for(time)) throw std::runtime_error{"the lock is free"};
      s->used[i] = own_processor_time() - used;
      s->lasted[i] = now_ns() - began;
    });
  waiters.join();
  double most = 0;
  for (int i = 0; i < kWaiters; ++i) most = std::max(most, 100 * static_cast<double>(s->used[i]) / static_cast<double>(s->lasted[i]));
  return most;
}

}  // namespace

void idle(Bench& bench) {
  const stress::Store& store = bench.store;
  const stress::milliseconds time{bench.choose(10'000, 100)};
  const double bound = 0.2;
  const auto take = [&](const std::string& name) {
    auto lock = store.lock(name);
    lock->acquire();
    return lock;
  };

  const double held = measure(store, "held", time, [&](const auto& ready) {
    const auto lock = take("held");
    ready();
    pause();
  });
  bench.report.row("the busiest of three waiters for a held lock", held, "%", bound);

  const double orphaned = measure(store, "orphaned", time, [&](const auto& ready) {
    std::unique_ptr<sherlock::BaseLock> lock;
    std::thread{[&] { lock = take("orphaned"); }}.join();
    ready();
    pause();
  });
  bench.report.row("for one whose holder's acquiring thread has ended", orphaned, "%", bound);

  if (!store.is_files()) return;
  take("foreign")->release();
  const double foreign = measure(store, "foreign", time, [&, path = store.path("foreign")](const auto& ready) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) throw std::runtime_error{"cannot lock as a foreigner"};
    ready();
    pause();
  });
  bench.report.row("for one that a foreigner has", foreign, "%", bound);
}

}  // namespace bench
