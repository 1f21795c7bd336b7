// SPDX-License-Identifier: MIT
#include "core/turn.hpp"

#include <utility>

#include <sherlock/clock.hpp>

namespace sherlock::detail {

bool Turn::wait(std::unique_lock<std::mutex>& lock, Queue& queue, std::chrono::nanoseconds deadline, std::stop_token stop) {
  return wait(lock, queue, queue.emplace(queue.end()), deadline, std::move(stop));
}

bool Turn::wait(std::unique_lock<std::mutex>& lock, Queue& queue, Queue::iterator place, std::chrono::nanoseconds deadline, std::stop_token stop) {
  const auto has_turn = [place] { return place->has_turn; };
  bool had = false;
  if (deadline == std::chrono::nanoseconds::max()) {
    had = changed_.wait(lock, std::move(stop), has_turn);
  } else {
    // The rest of the time on the library's clock, which a test may have replaced, slept through on the real one.
    const auto rest = deadline - clock().monotonic();
    had = changed_.wait_until(lock, std::move(stop), std::chrono::steady_clock::now() + rest, has_turn);
  }
  (had ? called_ : queue).erase(place);
  return had;
}

bool Turn::enter(std::chrono::nanoseconds deadline, std::stop_token stop) {
  std::unique_lock lock{mutex_};
  if (taken_) return wait(lock, others_, deadline, std::move(stop));
  return taken_ = true;
}

bool Turn::enter_first(std::chrono::nanoseconds deadline, std::stop_token stop) {
  std::unique_lock lock{mutex_};
  if (!taken_) return taken_ = true;
  if (sleeper_) sleeper_->request_stop();
  return wait(lock, first_, deadline, std::move(stop));
}

void Turn::leave() {
  const std::lock_guard lock{mutex_};
  pass_on();
}

void Turn::make_room() {
  std::unique_lock lock{mutex_};
  if (first_.empty()) return;
  const auto place = first_.emplace(first_.end());
  pass_on();
  wait(lock, first_, place, std::chrono::nanoseconds::max(), {});
}

// To the one who came first, if anybody waits.
void Turn::pass_on() {
  Queue& queue = first_.empty() ? others_ : first_;
  taken_ = !queue.empty();
  if (!taken_) return;
  queue.front().has_turn = true;
  called_.splice(called_.end(), queue, queue.begin());
  changed_.notify_all();
}

Turn::Sleep::Sleep(Turn& turn, std::stop_token stop) : turn_{turn}, forward_{std::move(stop), Forward{wake_}} {
  const std::lock_guard lock{turn_.mutex_};
  turn_.sleeper_ = &wake_;
  if (!turn_.first_.empty()) wake_.request_stop();
}

Turn::Sleep::~Sleep() {
  const std::lock_guard lock{turn_.mutex_};
  turn_.sleeper_ = nullptr;
}

}  // namespace sherlock::detail
