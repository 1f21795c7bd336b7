// SPDX-License-Identifier: MIT
#include "signals.hpp"

#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sherlock::cli {
namespace {

constexpr int kForwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Signals::Signals() {
  sigemptyset(&taken_);
  sigemptyset(&defaults_of_child_);
  // A blocked signal is kept for us even while it is ignored, so those must stay out of the set.
  for (const int signal : kForwarded)
    if (!is_ignored(signal)) sigaddset(&taken_, signal);
  std::signal(SIGCHLD, SIG_DFL);
  sigaddset(&taken_, SIGCHLD);
  sigaddset(&defaults_of_child_, SIGCHLD);
  if (!is_ignored(SIGPIPE)) {
    std::signal(SIGPIPE, SIG_IGN);
    sigaddset(&defaults_of_child_, SIGPIPE);
  }
  pthread_sigmask(SIG_BLOCK, &taken_, nullptr);
}

std::optional<siginfo_t> Signals::wait(Instant until) const {
  using namespace std::chrono;
  for (;;) {
    // A day at a time: the end of a wait that has none does not fit what the kernel counts in.
    const auto left = std::clamp<nanoseconds>(until - steady_clock::now(), nanoseconds{0}, hours{24});
    const timespec length{static_cast<time_t>(left / seconds{1}), static_cast<long>((left % seconds{1}).count())};
    siginfo_t info{};
    if (::sigtimedwait(&taken_, &info, &length) > 0) return info;
    if (errno == EAGAIN && steady_clock::now() >= until) return std::nullopt;
  }
}

std::optional<siginfo_t> Signals::pending() const {
  sigset_t wanted = taken_;
  sigdelset(&wanted, SIGCHLD);
  const timespec nothing{};
  siginfo_t info{};
  if (::sigtimedwait(&wanted, &info, &nothing) > 0) return info;
  return std::nullopt;
}

bool came_from_terminal(const siginfo_t& signal) {
  if (signal.si_code != SI_KERNEL) return false;
  if (signal.si_signo == SIGINT || signal.si_signo == SIGQUIT) return true;
  // A terminal that goes away tells the leader of its session alone, and the foreground group only once that has ended.
  return signal.si_signo == SIGHUP && ::getsid(0) != ::getpid();
}

void die_of(int signal) {
  ::prctl(PR_SET_DUMPABLE, 0);
  std::signal(signal, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signal);
  pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
  ::raise(signal);
  ::_exit(128 + signal);
}

}  // namespace sherlock::cli
