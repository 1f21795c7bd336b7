// SPDX-License-Identifier: MIT
#include "backends/file/foreign.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <sys/inotify.h>

#include <algorithm>
#include <string>

#include <sherlock/clock.hpp>

#include "posix/futex.hpp"

namespace sherlock::file {

using std::chrono::nanoseconds;

namespace {

constexpr nanoseconds kShortSlice = std::chrono::milliseconds{5};
constexpr nanoseconds kLongSlice = std::chrono::milliseconds{50};
constexpr int kShareOfWait = 8;  // how much later than it could a waiter may come, where there is no event
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
  if (!watching_ && !unwatched_) {
    if (events_)
      drain();  // of an earlier wait
    else
      events_.reset(posix::syscalls().inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    // One event a watch: none is left behind on a file that nobody waits for, where every close would add to the queue.
    const std::string file = fmt::format("/proc/self/fd/{}", fd);
    watching_ = events_ && posix::syscalls().inotify_add_watch(events_.get(), file.c_str(), IN_CLOSE | IN_ONESHOT) >= 0;
    unwatched_ = !watching_;
    return;  // it may have been closed just before the watch began
  }
  const nanoseconds now = clock().monotonic();
  if (now >= until) return;
  if (since_.count() == 0) since_ = now;
  // Without a watch every foreigner's end is seen by a look alone, so looks stay close together.
  const nanoseconds look = watching_ ? std::clamp((now - since_) / kShareOfWait, kShortSlice, kLongSlice) : kShortSlice;
  const timespec slice = posix::as_timespec(std::min(until - now, look));
  pollfd watched{events_.get(), POLLIN, 0};
  if (posix::syscalls().ppoll(&watched, watching_ ? 1 : 0, &slice) > 0) {
    drain();
    watching_ = false;
    retries_ = kRetries;
  }
}

void ForeignWatch::drain() {
  char events[4096];
  while (posix::syscalls().read(events_.get(), events, sizeof events) > 0) {
  }
}

}  // namespace sherlock::file
