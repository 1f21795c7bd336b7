// SPDX-License-Identifier: MIT
#include "core/turn.hpp"

#include <utility>

#include <sherlock/clock.hpp>

namespace sherlock::detail {

namespace {

struct Counted {
  explicit Counted(int& count) : count{++count} {}
  ~Counted() { --count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int& count;
};

}  // namespace

template <class Ready>
bool Turn::wait(std::unique_lock<std::mutex>& lock, std::chrono::nanoseconds deadline, std::stop_token stop, Ready ready) {
  const Counted waits{waiting_};
  if (deadline == std::chrono::nanoseconds::max()) return changed_.wait(lock, stop, ready);
  // The rest of the time on the library's clock, which a test may have replaced, slept through on the real one.
  const auto rest = deadline - clock().monotonic();
  return changed_.wait_until(lock, stop, std::chrono::steady_clock::now() + rest, ready);
}

bool Turn::enter(std::chrono::nanoseconds deadline, std::stop_token stop) {
  std::unique_lock lock{mutex_};
  if (!wait(lock, deadline, stop, [this] { return !taken_ && urgent_ == 0; })) return false;
  taken_ = true;
  return true;
}

bool Turn::enter_first(std::chrono::nanoseconds deadline) {
  std::unique_lock lock{mutex_};
  ++urgent_;
  if (sleeper_) sleeper_->request_stop();
  const bool free = wait(lock, deadline, {}, [this] { return !taken_; });
  --urgent_;
  if (free) taken_ = true;
  if (!free) changed_.notify_all();
  return free;
}

void Turn::leave() {
  const std::lock_guard lock{mutex_};
  taken_ = false;
  if (waiting_ > 0) changed_.notify_all();
}

void Turn::make_room() {
  std::unique_lock lock{mutex_};
  if (urgent_ == 0) return;
  taken_ = false;
  changed_.notify_all();
  const Counted waits{waiting_};
  changed_.wait(lock, [this] { return !taken_ && urgent_ == 0; });
  taken_ = true;
}

Turn::Sleep::Sleep(Turn& turn, std::stop_token stop) : turn_{turn}, forward_{std::move(stop), Forward{wake_}} {
  const std::lock_guard lock{turn_.mutex_};
  turn_.sleeper_ = &wake_;
  if (turn_.urgent_ > 0) wake_.request_stop();
}

Turn::Sleep::~Sleep() {
  const std::lock_guard lock{turn_.mutex_};
  turn_.sleeper_ = nullptr;
}

}  // namespace sherlock::detail
