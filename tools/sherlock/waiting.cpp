// SPDX-License-Identifier: MIT
#include "waiting.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>

#include <sherlock/error.hpp>

#include "output.hpp"
#include "store.hpp"
#include "text.hpp"

namespace sherlock::cli {
namespace {

using std::chrono::steady_clock;
constexpr std::chrono::microseconds kBrief{100};
constexpr std::chrono::milliseconds kSilence{500}, kBetweenLooks{250};

bool stderr_is_terminal() {
  const char* const kind = std::getenv("TERM");
  return kind && std::strcmp(kind, "dumb") != 0 && ::isatty(STDERR_FILENO);
}

// A job in the background does not write over what its user is doing.
bool in_background() {
  const pid_t foreground = ::tcgetpgrp(STDERR_FILENO);
  return foreground > 0 && foreground != ::getpgrp();
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

// What is said while waiting.
class WaitingLine {
 public:
  explicit WaitingLine(const BaseLock& lock) : lock_{lock}, until_{lock.timeout().after(start_.time_since_epoch())} {}
  ~WaitingLine() {
    if (drawn_ && !in_background()) write_to_stderr("\r\x1b[K");
  }

  void show() {
    if (terminal_ && in_background()) return;
    std::optional<Holder> holder;
    try {
      holder = lock_.holder();
    } catch (const std::exception&) {
      // Then nobody is named; what is wrong with the store, acquire() will say.
    }
    if (terminal_) {
      write_to_stderr(fmt::format("\r{}\x1b[K", fit(text(holder), terminal_columns() - 1)));
      drawn_ = true;
      return;
    }
    const auto facts = holder ? Facts{holder->fence, holder->pid, holder->since} : told_.value_or(Facts{});
    if (told_ == facts) return;
    told_ = facts;
    complain(text(holder));
  }

 private:
  using Facts = std::tuple<std::optional<std::uint64_t>, std::optional<std::int64_t>, std::optional<WallTime>>;

  std::string text(const std::optional<Holder>& holder) const {
    std::string text = "waiting for " + escape(lock_.name());
    if (holder) text += ": " + held_by(*holder, std::chrono::system_clock::now());
    if (holder && holder->waiting.value_or(0) > 1) text += fmt::format("; {} waiting", *holder->waiting);
    if (!lock_.timeout().is_infinite()) text += fmt::format("; {} left", left());
    return text;
  }

  std::string left() const { return ago(std::chrono::ceil<std::chrono::seconds>(until_ - steady_clock::now().time_since_epoch())); }

  const BaseLock& lock_;
  const Instant start_ = steady_clock::now();
  const std::chrono::nanoseconds until_;
  const bool terminal_ = stderr_is_terminal();
  bool drawn_ = false;
  std::optional<Facts> told_;
};

// The one thread beside the one that waits for the lock. It takes the signals, because acquire() knows none, and tells who is in the way.
class Watcher {
 public:
  Watcher(const BaseLock& lock, const Signals& signals, bool quiet)
      : thread_{[this, &lock, &signals, quiet] { watch(lock, signals, quiet); }} {}
  ~Watcher() { finish(); }

  std::stop_token token() const { return stop_.get_token(); }

  // The signal that came, or 0.
  int finish() {
    if (thread_.joinable()) {
      done_ = true;
      ::pthread_kill(thread_.native_handle(), SIGCHLD);  // it waits for this one too, and it stays pending until taken
      thread_.join();
    }
    return came_;
  }

 private:
  void watch(const BaseLock& lock, const Signals& signals, bool quiet) {
    WaitingLine line{lock};
    Instant next_look = quiet ? Instant::max() : steady_clock::now() + kSilence;
    while (!done_) {
      const auto signal = signals.wait(next_look);
      if (signal && signal->si_signo != SIGCHLD) {
        came_ = signal->si_signo;
        stop_.request_stop();
        return;
      }
      if (signal || done_) continue;
      line.show();
      next_look = steady_clock::now() + kBetweenLooks;
    }
  }

  std::stop_source stop_;
  std::atomic<bool> done_{false};
  int came_ = 0;
  std::thread thread_;
};

}  // namespace

int acquire_aloud(BaseLock& lock, const Signals& signals, bool quiet) {
  int came = 0;
  // Mostly it is free, and a thread would take as long as everything else. Not a mere try: that would go before those who wait already.
  if (!lock.try_acquire_for(kBrief)) {
    Watcher watcher{lock, signals, quiet};
    try {
      lock.acquire(watcher.token());
    } catch (const LockCancelledException&) {
      return watcher.finish();
    }
    came = watcher.finish();
  }
  if (const auto last = signals.pending(); came == 0 && last) came = last->si_signo;
  if (came != 0) lock.unlock();
  return came;
}

}  // namespace sherlock::cli
