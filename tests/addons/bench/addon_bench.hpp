// SPDX-License-Identifier: MIT
// What a lock of a networked backend costs, next to what its client library takes for the same work. Read, not asserted: run it by hand on a quiet machine.
// Both sides are repeated in turn, so that a busy machine is busy for both, and what counts is the median of the ratios.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include <sherlock/base_lock.hpp>

namespace bench {

struct Subject {
  const char* name;                          // "redis"
  std::function<void()> bare_pair;           // acquire and release as the bare client's calls
  std::function<void()> round_trip;          // the smallest request that the client can make
  std::function<std::unique_ptr<sherlock::BaseLock>(const char* name)> make;  // with a retry_interval of an hour where a release wakes
  bool counts_waiters = true;                // holder()->waiting tells when a waiter waits; else it is given 20 ms
  bool wakes = true;                         // a release does; else there is no hand-off to measure
};

inline double median(std::vector<double> all) {
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
  return all[all.size() / 2];
}

using Time = std::chrono::steady_clock;
inline double us_since(Time::time_point begin) { return std::chrono::duration<double, std::micro>(Time::now() - begin).count(); }

template <class Call>
double us_each(int n, Call call) {
  const auto begin = Time::now();
  for (int i = 0; i < n; ++i) call();
  return us_since(begin) / n;
}

inline void pair(const Subject& subject, int repetitions, int n) {
  const auto lock = subject.make("pair");
  const auto ours = [&] {
    lock->acquire();
    lock->release();
  };
  us_each(n, subject.bare_pair);
  us_each(n, ours);
  std::vector<double> bares, pairs, ratios;
  for (int i = 0; i < repetitions; ++i) {
    bares.push_back(us_each(n, subject.bare_pair));
    pairs.push_back(us_each(n, ours));
    ratios.push_back(pairs.back() / bares.back());
  }
  std::printf("%-12s acquire+release  %8.1f us, bare client %8.1f us: %.2f x (at most 1.3)\n", subject.name, median(pairs), median(bares), median(ratios));
}

// From the call of release() to the return of the waiter's acquire(), in another thread.
inline void hand_off(const Subject& subject, int repetitions) {
  const auto holder = subject.make("hand-off"), waiter = subject.make("hand-off");
  std::vector<double> times, trips, ratios;
  for (int i = 0; i < repetitions; ++i) {
    holder->acquire();
    std::atomic<Time::time_point> granted{};
    std::jthread waits{[&] {
      waiter->acquire();
      granted = Time::now();
      waiter->release();
    }};
    if (subject.counts_waiters)
      while (holder->holder()->waiting.value_or(0) != 1) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    // Everybody sleeps before a hand-off, so everybody sleeps before the round trip that it is compared with.
    std::this_thread::sleep_for(std::chrono::milliseconds{subject.counts_waiters ? 2 : 20});
    trips.push_back(us_each(1, subject.round_trip));
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
    const auto begin = Time::now();
    holder->release();
    waits.join();
    times.push_back(std::chrono::duration<double, std::micro>(granted.load() - begin).count());
    ratios.push_back(times.back() / trips.back());
  }
  std::printf("%-12s hand-off         %8.1f us, one round trip %6.1f us: %.2f x (at most 5)\n", subject.name, median(times), median(trips), median(ratios));
}

inline int run(const Subject& subject, int argc, char** argv) {
  const bool smoke = argc > 1 && std::string_view{argv[1]} == "--smoke";
  pair(subject, smoke ? 3 : 101, smoke ? 20 : 200);
  if (subject.wakes) hand_off(subject, smoke ? 5 : 201);
  return 0;
}

}  // namespace bench
