// SPDX-License-Identifier: MIT
#include "backends/file/foreign.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <sys/inotify.h>

#include <algorithm>

#include <sherlock/clock.hpp>

#include "posix/futex.hpp"

namespace sherlock::file {

using std::chrono::nanoseconds;

namespace {

constexpr nanoseconds kSlice = std::chrono::milliseconds{5};
constexpr int kRetries = 6;

}  // namespace

void ForeignWatch::wait(int fd, nanoseconds until) {
  if (retries_ > 0) {
    const int done = kRetries - retries_--;
    if (done == 0) {
      sched_yield();
    } else {
      const timespec nap = posix::as_timespec(std::chrono::microseconds{10 << done});
      nanosleep(&nap, nullptr);
    }
    return;
  }
  if (!events_ && !unwatched_) {
    events_.reset(posix::syscalls().inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!events_ || posix::syscalls().inotify_add_watch(events_.get(), fmt::format("/proc/self/fd/{}", fd).c_str(), IN_CLOSE) < 0) {
      events_.reset();
      unwatched_ = true;
    }
    return;  // it may have been closed just before the watch began
  }
  const nanoseconds now = clock().monotonic();
  if (now >= until) return;
  const timespec slice = posix::as_timespec(std::min(until - now, kSlice));
  pollfd watched{events_.get(), POLLIN, 0};
  if (posix::syscalls().ppoll(&watched, events_ ? 1 : 0, &slice) > 0) {
    char events[4096];
    while (posix::syscalls().read(events_.get(), events, sizeof events) > 0) {
    }
    retries_ = kRetries;
  }
}

}  // namespace sherlock::file
