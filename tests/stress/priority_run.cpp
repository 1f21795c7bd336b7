// SPDX-License-Identifier: MIT
// On one processor, somebody of the lowest priority holds a lock, and somebody of the highest waits for it: if the waiter did not sleep, the holder would never
// come to let it go. Then 64 wait beside both.
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "detector.hpp"
#include "own_mounts.hpp"
#include "store.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

struct State {
  Detector lock;
  std::atomic<std::uint64_t> handed;
  std::atomic<std::int64_t> busy_us, waited_us, longest;
  std::atomic<bool> stop;
};

void run_on_one_processor() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) throw std::runtime_error{std::string{"sched_setaffinity: "} + std::strerror(errno)};
}
void run_as(int policy, int priority) {
  const sched_param how{priority};
  if (sched_setscheduler(0, policy, &how) != 0) throw std::runtime_error{std::string{"sched_setscheduler: "} + std::strerror(errno)};
}

std::int64_t busy_us() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto micros = [](const timeval& t) { return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_usec; };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

void hold_and_work(State& s, const Store& store) {
  const auto lock = store.lock("p", {.timeout = 30s});
  run_as(SCHED_IDLE, 0);
  while (!s.stop) {
    lock->acquire();
    {
      const Inside inside{s.lock, 0, 1, lock->fence()};
      for (const std::int64_t until = busy_us() + 2000; busy_us() < until;) {
      }
    }
    lock->release();
    nap(1ms);
  }
}

void wait_urgently(State& s, const Store& store) {
  const auto lock = store.lock("p", {.timeout = 30s});
  run_as(SCHED_FIFO, 50);
  while (!s.stop) {
    const std::int64_t before = busy_us(), asked = now_ns();
    lock->acquire();
    const std::int64_t waited = now_ns() - asked;
    {
      const Inside inside{s.lock, 1, 1, lock->fence()};
    }
    lock->release();
    s.busy_us += busy_us() - before;
    s.waited_us += waited / 1000;
    s.longest = std::max(s.longest.load(), waited);
    s.handed.fetch_add(1);
    nap(3ms);
  }
}

}  // namespace

void priority_run(const Run& run, Report& report) {
  if (const std::string why = obstacle_to([] {
        run_on_one_processor();
        run_as(SCHED_IDLE, 0);
        if (!reap(spawn([] {}))) throw std::runtime_error{"no children"};
      });
      !why.empty())
    return report.skip(why);
  if (const std::string why = obstacle_to([] { run_as(SCHED_FIFO, 50); }); !why.empty()) return report.skip(why);

  const Store store{run.backend};
  const Shared<State> s;
  std::uint64_t failed = 0;
  // A process of its own has the processor that both share.
  const pid_t both = spawn([&] {
    run_on_one_processor();
    const pid_t low = spawn([&] { hold_and_work(*s, store); }), high = spawn([&] { wait_urgently(*s, store); });
    if (!(int{reap(low)} & int{reap(high)})) throw std::runtime_error{"one of the two"};
  });
  nap(nanoseconds{static_cast<std::int64_t>(run.seconds * 1e9)});
  s->stop = true;
  failed += !reap(both);
  const double share = 100.0 * static_cast<double>(s->busy_us) / static_cast<double>(std::max<std::int64_t>(s->waited_us, 1));
  report.count("acquisitions", s->lock.grants);
  report.count("urgent ones", s->handed);
  report.broken("overlaps", s->lock.overlaps);
  report.broken("stuck", s->handed == 0 || s->longest > 30'000'000'000);
  // Where it waits for longer than it works.
  report.broken("waits that do not sleep", s->waited_us > 200'000 && share > 50);
  report.broken("failed workers", failed);
  report.worst("longest urgent wait", nanoseconds{s->longest.load()});
  report.worst("work while it waits", share, "%");
}

}  // namespace stress
