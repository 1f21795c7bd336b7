// SPDX-License-Identifier: MIT
// What waiting costs: the share of a processor that each of three waiters takes while nothing happens. All cases at once: each counts its own time.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "bench.hpp"

namespace bench {
namespace {

constexpr int kWaiters = 3;

struct State {
  std::atomic<bool> held;
  std::atomic<std::int64_t> used[kWaiters], lasted[kWaiters];
};

enum class By { holder, orphan, foreigner };

class Case {
 public:
  Case(const stress::Store& store, By by, const char* what) : what{what}, store_{store}, by_{by}, name_{what} {}

  void begin(stress::nanoseconds time) {
    if (by_ == By::foreigner) take()->release();
    all_.add([&] { hold(); });
    await([&] { return state_->held.load(); });
    for (int i = 0; i < kWaiters; ++i) waiters_.add([&, i] { wait(i, time); });
  }
  // The busiest waiter's share, in percent.
  double end() {
    waiters_.join();
    double most = 0;
    for (int i = 0; i < kWaiters; ++i) most = std::max(most, 100 * static_cast<double>(state_->used[i]) / static_cast<double>(state_->lasted[i]));
    return most;
  }

  const std::string what;
  std::string who() const { return "sherlock " + store_.backend().name(); }

 private:
  std::unique_ptr<sherlock::BaseLock> take() {
    auto lock = store_.lock(name_);
    lock->acquire();
    return lock;
  }

  void hold() {
    std::unique_ptr<sherlock::BaseLock> lock;
    if (by_ == By::holder) lock = take();
    if (by_ == By::orphan) std::thread{[&] { lock = take(); }}.join();
    if (by_ == By::foreigner) {
      const int fd = open(store_.path(name_).c_str(), O_RDWR | O_CLOEXEC);
      if (fd < 0 || flock(fd, LOCK_EX) != 0) throw std::runtime_error{"cannot lock as a foreigner"};
    }
    state_->held = true;
    pause();
  }

  void wait(int i, stress::nanoseconds time) {
    const auto lock = store_.lock(name_);
    if (lock->try_acquire_for(stress::milliseconds{50})) throw std::runtime_error{"the lock is free"};
    const std::int64_t used = processor_time(), began = now_ns();
    if (lock->try_acquire_for(time)) throw std::runtime_error{"the lock is free"};
    state_->used[i] = processor_time() - used;
    state_->lasted[i] = now_ns() - began;
  }

  const stress::Store& store_;
  const By by_;
  const std::string name_;
  const stress::Shared<State> state_;
  Children all_, waiters_;
};

}  // namespace

void idle(Bench& bench) {
  std::vector<std::unique_ptr<Case>> cases;
  for (const auto& store : bench.stores) {
    cases.push_back(std::make_unique<Case>(*store, By::holder, "an idle waiter for a held lock"));
    cases.push_back(std::make_unique<Case>(*store, By::orphan, "an idle waiter, where the thread that acquired has ended"));
    if (store->is_files()) cases.push_back(std::make_unique<Case>(*store, By::foreigner, "an idle waiter, where a foreigner has the file"));
  }
  for (auto& one : cases) one->begin(stress::milliseconds{bench.choose(10'000, 2000, 100)});
  bench.report.progress("waiting");
  for (auto& one : cases) bench.report.add({one->what + ": share of a processor", one->who(), one->end(), "%", Bound{0.2}});
}

}  // namespace bench
