// SPDX-License-Identifier: MIT
#include "addons/common/forks.hpp"

#include <pthread.h>

#include <atomic>

namespace sherlock::addons {
namespace {

std::atomic<std::uint64_t> count{0};
constinit std::mutex mutex;

// Registered while the library is loaded: a first use in one thread and a fork in another could not be told apart.
[[maybe_unused]] const int registered = pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); },
                                                       [] {
                                                         count.fetch_add(1, std::memory_order_relaxed);
                                                         mutex.unlock();
                                                       });

}  // namespace

std::uint64_t forks() noexcept { return count.load(std::memory_order_relaxed); }
std::mutex& shared() noexcept { return mutex; }

}  // namespace sherlock::addons
