// SPDX-License-Identifier: MIT
// Threads share one object, and let go of it more often than they took it: what one of them says too late must not harm the next one's hold.
// When all are done the lock is free, for another object too.
#include <fmt/core.h>

#include <thread>
#include <vector>

#include "store.hpp"
#include "stress.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

struct Figures {
  std::atomic<std::uint64_t> grants, refused, lost;
};

void use(sherlock::BaseLock& lock, int role, Figures& f) {
  try {
    switch (role) {
      case 0: (void)lock.renew(); break;
      case 1:
      case 2:
      case 3: lock.unlock(); break;
      default:
        if (!lock.try_acquire()) return;
        f.grants.fetch_add(1);
        lock.release();
    }
  } catch (const sherlock::LockNotHeldException&) {  // another thread let go of it first, which is its right
    f.refused.fetch_add(1);
  } catch (const sherlock::LockLostException&) {  // nobody takes these holds away, so nobody may be told that
    f.lost.fetch_add(1);
  }
}

}  // namespace

void share_run(const Run& run, Report& report) {
  const Store store{run.backend};
  Figures f{};
  std::uint64_t rounds = 0, stuck = 0;
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 1e9);
  while (now_ns() < end) {
    const std::string name = fmt::format("{}", ++rounds);
    const auto lock = store.lock(name), other = store.lock(name);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 10; ++i)
      threads.emplace_back([&, i] {
        while (!stop) use(*lock, i, f);
      });
    nap(300ms);
    stop = true;
    for (auto& thread : threads) thread.join();
    lock->unlock();
    stuck += !other->try_acquire_for(500ms);
  }
  report.count("acquisitions", f.grants);
  report.count("rounds", rounds);
  report.count("let go by others", f.refused);
  report.broken("losses told", f.lost);
  report.broken("stuck", stuck);
}

}  // namespace stress
