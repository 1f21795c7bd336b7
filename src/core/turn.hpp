// SPDX-License-Identifier: MIT
// Whose turn it is among the threads that share one lock object. One thread at a time waits for the store; the others wait here,
// behind it. Only contended objects have one: an uncontended acquire of a store that excludes threads itself never comes here.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <stop_token>

namespace sherlock::detail {

class Turn {
 public:
  explicit Turn(std::uint64_t process) : process_{process} {}

  // The process that made it: a forked child inherits a mutex that may be locked for ever, and makes a new Turn.
  std::uint64_t process() const { return process_; }

  // False: the deadline (Clock::monotonic()) came first, or the stop.
  bool enter(std::chrono::nanoseconds deadline, std::stop_token stop);
  // The same, ahead of all who enter(), and whoever sleeps in the store is asked to make room. Those who came first have their turn first: each waits
  // for a try of each of them, and no longer.
  bool enter_first(std::chrono::nanoseconds deadline, std::stop_token stop = {});
  // Whoever is next has the turn from here on, though it may not be awake yet: nobody comes between.
  void leave();
  // Between two tries: lets those in who came by enter_first, and is one of them itself.
  void make_room();

  // While it lives, the thread whose turn it is sleeps in the store, until `stop` or until somebody comes by enter_first.
  class Sleep {
   public:
    Sleep(Turn& turn, std::stop_token stop);
    ~Sleep();
    std::stop_token token() const { return wake_.get_token(); }

   private:
    struct Forward {
      std::stop_source& to;
      void operator()() const noexcept { to.request_stop(); }
    };
    Turn& turn_;
    std::stop_source wake_;
    std::stop_callback<Forward> forward_;
  };

 private:
  struct Place {
    bool has_turn = false;
  };
  using Queue = std::list<Place>;

  bool wait(std::unique_lock<std::mutex>& lock, Queue& queue, std::chrono::nanoseconds deadline, std::stop_token stop);
  bool wait(std::unique_lock<std::mutex>& lock, Queue& queue, Queue::iterator place, std::chrono::nanoseconds deadline, std::stop_token stop);
  void pass_on();

  const std::uint64_t process_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool taken_ = false;  // not: nobody is in a queue
  Queue first_, others_;
  Queue called_;  // who has the turn and is not awake yet
  std::stop_source* sleeper_ = nullptr;
};

}  // namespace sherlock::detail
