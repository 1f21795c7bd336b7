// SPDX-License-Identifier: MIT
#include "supervise.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <exception>
#include <stop_token>

#include <sherlock/error.hpp>

#include "output.hpp"

namespace sherlock::cli {
namespace {

using std::chrono::steady_clock;
constexpr std::chrono::seconds kLookAfter{5};

Instant later(Duration length) { return Instant{length.after(steady_clock::now().time_since_epoch())}; }

// A store that fails may come back; until then the lock is as good as it was.
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

Supervised supervise(Child& child, BaseLock& lock, const Keeper* keeper, const Signals& signals, OnLost on_lost, Duration kill_after) {
  // Ctrl-C may have been pressed just before the command was there to get it. Twice is better than never.
  while (const auto early = signals.pending()) child.forward(*early, false);

  const std::stop_token told = keeper ? keeper->stop_token() : std::stop_token{};
  const std::stop_callback wake{told, [] { ::kill(::getpid(), SIGCHLD); }};  // what is waited for below is signals; this one says: look
  Instant next_look = keeper ? Instant::max() : later(kLookAfter), kill_at = Instant::max();
  bool lost = false;
  for (;;) {
    if (const auto ending = child.ended()) return {*ending, lost};
    bool found_lost = !lost && told.stop_requested();
    if (steady_clock::now() >= next_look) {
      found_lost = !still_ours(lock);
      next_look = found_lost ? Instant::max() : later(kLookAfter);
    }
    if (found_lost) {
      lost = true;
      complain(fmt::format("lock '{}' was lost while the command ran{}", lock.name(),
                           on_lost == OnLost::warn ? "; it goes on without (--on-lost=warn)" : "; ending the command"));
      if (on_lost != OnLost::warn) child.send(on_lost == OnLost::kill ? SIGKILL : SIGTERM);
      if (on_lost == OnLost::term) kill_at = later(kill_after);
    }
    const auto signal = signals.wait(std::min(next_look, kill_at));
    if (signal && signal->si_signo != SIGCHLD) child.forward(*signal);
    if (steady_clock::now() >= kill_at) {
      child.send(SIGKILL);
      kill_at = Instant::max();
    }
  }
}

}  // namespace sherlock::cli
