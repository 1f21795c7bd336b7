// SPDX-License-Identifier: MIT
#include "supervise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include <sherlock/error.hpp>

#include "output.hpp"

namespace sherlock::cli {
namespace {

using std::chrono::steady_clock;
constexpr std::chrono::seconds kLookAfter{5};

Instant later(Duration length) { return Instant{length.after(steady_clock::now().time_since_epoch())}; }

// A store that fails may come back before the lease ends; until then the lock is as good as it was.
bool still_ours(BaseLock& lock) {
  try {
    return lock.renew();
  } catch (const LockNotHeldException&) {
    return false;
  } catch (const std::exception& failure) {
    complain(failure.what());
    return lock.held();
  }
}

}  // namespace

Supervised supervise(Child& child, BaseLock& lock, const Signals& signals, OnLost on_lost, Duration kill_after) {
  // Ctrl-C may have been pressed just before the command was there to get it. Twice is better than never.
  while (const auto early = signals.pending()) child.forward(*early, false);

  const Duration interval = lock.expire().is_infinite() ? Duration{kLookAfter} : Duration{lock.expire().ns() / 3};
  Instant next_look = later(interval), kill_at = Instant::max();
  bool lost = false;
  for (;;) {
    if (const auto ending = child.ended()) return {*ending, lost};
    const auto signal = signals.wait(std::min(next_look, kill_at));
    if (signal && signal->si_signo != SIGCHLD) child.forward(*signal);

    if (steady_clock::now() >= next_look) {
      lost = !still_ours(lock);
      next_look = lost ? Instant::max() : later(interval);
      if (lost) {
        complain(fmt::format("lock '{}' was lost while the command ran{}", lock.name(),
                             on_lost == OnLost::warn ? "; it goes on without (--on-lost=warn)" : "; ending the command"));
        if (on_lost != OnLost::warn) child.send(on_lost == OnLost::kill ? SIGKILL : SIGTERM);
        if (on_lost == OnLost::term) kill_at = later(kill_after);
      }
    }
    if (steady_clock::now() >= kill_at) {
      child.send(SIGKILL);
      kill_at = Instant::max();
    }
  }
}

}  // namespace sherlock::cli
