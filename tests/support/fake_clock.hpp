// SPDX-License-Identifier: MIT
// A clock that a test turns. Nothing sleeps: who asks to sleep until an instant finds that instant come, at once. Unless `Sleepers::wait` was
// said: then they sleep, in threads of their own, until the test has turned the clock that far. The clock is
// in use from its making to its end; make it before the locks and let no thread that uses locks outlive it.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <utility>

#include <sherlock/clock.hpp>

namespace support {

class FakeClock final : public sherlock::Clock {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  enum class Sleepers { pass, wait };

  explicit FakeClock(Sleepers sleepers = Sleepers::pass) : sleepers_{sleepers}, before_{sherlock::set_clock(this)} {}
  ~FakeClock() override { sherlock::set_clock(before_); }
  FakeClock(const FakeClock&) = delete;
  FakeClock& operator=(const FakeClock&) = delete;

  nanoseconds monotonic() const override { return read(monotonic_); }
  nanoseconds boottime() const override { return read(boottime_); }
  std::chrono::system_clock::time_point wall() const override { return read(wall_); }

  void sleep_until(nanoseconds deadline, std::stop_token stop) override {
    if (sleepers_ == Sleepers::wait) {
      std::unique_lock guard{mutex_};
      const auto place = asleep_.insert(deadline);
      changed_.notify_all();
      changed_.wait(guard, stop, [&] { return monotonic_ >= deadline; });
      asleep_.erase(place);
      changed_.notify_all();
      return;
    }
    std::function<void()> meanwhile;
    {
      const std::lock_guard guard{mutex_};
      if (++sleeps_ > kMostSleeps) throw std::logic_error{"FakeClock: a wait that does not end"};
      meanwhile = meanwhile_;
    }
    if (meanwhile) meanwhile();
    if (stop.stop_requested()) return;
    if (deadline == nanoseconds::max()) throw std::logic_error{"FakeClock: asked to sleep for ever, which no test does"};
    const std::lock_guard guard{mutex_};
    pass(std::max(deadline - monotonic_, nanoseconds{0}));
  }

  // Time passes, for the machine and for the world.
  void advance(nanoseconds by) {
    const std::lock_guard guard{mutex_};
    pass(by);
  }
  // Returns once as many as that sleep, and none of them past its time. False: they do not, for 20 s.
  bool asleep(std::size_t sleepers = 1) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, std::chrono::seconds{20}, [&] { return asleep_.size() == sleepers && (asleep_.empty() || *asleep_.begin() > monotonic_); });
  }
  // The machine is suspended for so long: CLOCK_MONOTONIC does not see it.
  void suspend(nanoseconds by) {
    const std::lock_guard guard{mutex_};
    boottime_ += by;
    wall_ += std::chrono::duration_cast<Wall::duration>(by);
  }
  // Somebody sets the wall clock, forward or back.
  void step_wall(nanoseconds by) {
    const std::lock_guard guard{mutex_};
    wall_ += std::chrono::duration_cast<Wall::duration>(by);
  }
  // What happens in the middle of every sleep from now on, before its time has passed.
  void meanwhile(std::function<void()> what) {
    const std::lock_guard guard{mutex_};
    meanwhile_ = std::move(what);
  }

  // How often somebody asked for the time, and for sleep.
  int reads() const {
    const std::lock_guard guard{mutex_};
    return reads_;
  }
  int sleeps() const {
    const std::lock_guard guard{mutex_};
    return sleeps_;
  }

 private:
  static constexpr int kMostSleeps = 10'000;
  using Wall = std::chrono::system_clock::time_point;

  template <class T>
  T read(const T& time) const {
    const std::lock_guard guard{mutex_};
    ++reads_;
    return time;
  }

  void pass(nanoseconds by) {
    monotonic_ += by;
    boottime_ += by;
    wall_ += std::chrono::duration_cast<Wall::duration>(by);
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  mutable int reads_ = 0;
  int sleeps_ = 0;
  const Sleepers sleepers_;
  std::multiset<nanoseconds> asleep_;  // until when
  std::condition_variable_any changed_;
  std::function<void()> meanwhile_;
  // Not zero, and not the same: who mixes them up is found out.
  nanoseconds monotonic_ = std::chrono::hours{1};
  nanoseconds boottime_ = std::chrono::hours{1000};
  Wall wall_{std::chrono::sys_days{std::chrono::year{2026} / 1 / 2}};
  sherlock::Clock* const before_;
};

}  // namespace support
