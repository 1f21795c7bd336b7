// SPDX-License-Identifier: MIT
#include "conformance/process.hpp"

#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>

#include "conformance/check.hpp"

namespace sherlock::conformance {
namespace {

std::string how_it_ended(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return info.si_status == 0 ? "" : "ended with exit code " + std::to_string(info.si_status);
  return "was killed by signal " + std::to_string(info.si_status) + " (" + strsignal(info.si_status) + ")";
}

}  // namespace

Process::Process(const std::string& program, Group group) : group_{group} {
  auto [ours, theirs] = Channel::pair();
  auto [spare, their_spare] = Channel::pair();

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, theirs.fd(), 0);
  posix_spawn_file_actions_adddup2(&files, their_spare.fd(), 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  if (group == Group::leader) {
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
  }
  char* const argv[] = {const_cast<char*>(program.c_str()), const_cast<char*>(kPlay), nullptr};
  const int error = posix_spawn(&pid_, program.c_str(), &files, &attributes, argv, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::system_error{error, std::generic_category(), "cannot start " + program};
  channel_ = std::move(ours);
  spare_ = std::move(spare);
}

Process::~Process() {
  try {
    if (group_ == Group::leader) ::kill(-pid_, SIGKILL);  // forked children outlive the leader
    kill();
  } catch (const std::exception&) {  // nobody is left who could be told
  }
}

void Process::signal(int number, int event) {
  if (ended_) return;
  if (::kill(pid_, number) != 0) throw std::system_error{errno, std::generic_category(), "cannot signal a peer"};
  siginfo_t info{};
  int result = 0;
  do result = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | event);
  while (result != 0 && errno == EINTR);
  // ECHILD: this program ignores SIGCHLD, and the kernel has waited in its place.
  if (result != 0 || info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) ended_ = true;
}

void Process::kill() { signal(SIGKILL, 0); }
void Process::stop() { signal(SIGSTOP, WSTOPPED); }
void Process::go_on() { signal(SIGCONT, WCONTINUED); }

std::string Process::wait(std::chrono::nanoseconds patience) const {
  const Timer timer;
  siginfo_t info{};
  // Its number stays its own until the destructor has ended its group.
  while (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno == EINTR) {
    if (info.si_pid != 0) return how_it_ended(info);
    if (timer.elapsed() > patience) return "did not end";
    nap(std::chrono::milliseconds{1});
  }
  return {};
}

Played take_part() {
  // Whoever started us may be killed, and we may be stopped then and never see our channel end.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Played played{Channel::instead_of(0), Channel::instead_of(1)};
  dup2(2, 1);  // what a backend prints is no part of the report
  return played;
}

void start_anew(const Channel& channel, const Channel& spare) {
  if (dup2(channel.fd(), 0) < 0 || dup2(spare.fd(), 1) < 0) return;
  char* const argv[] = {const_cast<char*>("/proc/self/exe"), const_cast<char*>(kPlay), nullptr};
  execv(argv[0], argv);
}

}  // namespace sherlock::conformance
