// SPDX-License-Identifier: MIT
#include "child.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace sherlock::cli {
namespace {

void check(int error, const char* what) {
  if (error) throw std::system_error{error, std::generic_category(), what};
}

class FileActions {
 public:
  FileActions() { check(::posix_spawn_file_actions_init(&actions_), "posix_spawn"); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() {
    ::posix_spawn_file_actions_destroy(&actions_);
    for (const int fd : copies_) ::close(fd);
  }

  // Under a number that scripts do not use for themselves: `exec 3>log` would close what keeps the lock alive.
  void keep(int fd) {
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 20);
    if (copy >= 0) copies_.push_back(copy);
    const int kept = copy >= 0 ? copy : fd;  // where the limit leaves no such number, under its own
    check(::posix_spawn_file_actions_adddup2(&actions_, kept, kept), "posix_spawn");
  }

  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
  std::vector<int> copies_;
};

class Attributes {
 public:
  explicit Attributes(const Signals& signals) {
    check(::posix_spawnattr_init(&attributes_), "posix_spawn");
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals.defaults_of_child());
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }

  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

std::string_view variable(std::string_view entry) { return entry.substr(0, entry.find('=')); }

std::vector<char*> environment_with(const std::vector<std::string>& more) {
  std::vector<char*> all;
  for (char** entry = environ; *entry; ++entry) {
    bool replaced = false;
    for (const std::string& ours : more) replaced = replaced || variable(ours) == variable(*entry);
    if (!replaced) all.push_back(*entry);
  }
  for (const std::string& ours : more) all.push_back(const_cast<char*>(ours.c_str()));
  all.push_back(nullptr);
  return all;
}

// A script without a first line is for the shell, as execvp(3) has it and posix_spawnp(3) has not; the shell knows what to do.
std::vector<char*> through_shell(char* const command[]) {
  static char shell[] = "/bin/sh", option[] = "-c", script[] = "exec \"$0\" \"$@\"";
  std::vector<char*> words{shell, option, script};
  while (*command) words.push_back(*command++);
  words.push_back(nullptr);
  return words;
}

}  // namespace

Child::Child(char* const command[], const std::vector<std::string>& more_environment, const std::vector<int>& inherited,
             const Signals& signals) {
  FileActions actions;
  for (const int fd : inherited) actions.keep(fd);
  const Attributes attributes{signals};
  const std::vector<char*> environment = environment_with(more_environment);

  int error = ::posix_spawnp(&pid_, command[0], actions.get(), attributes.get(), command, environment.data());
  if (error == ENOEXEC) {
    const std::vector<char*> words = through_shell(command);
    error = ::posix_spawn(&pid_, words[0], actions.get(), attributes.get(), words.data(), environment.data());
  }
  if (error) throw std::system_error{error, std::generic_category()};
}

std::optional<Ending> Child::ended() {
  int how = 0;
  if (::waitpid(pid_, &how, WNOHANG) != pid_) return std::nullopt;
  if (WIFSIGNALED(how)) return Ending{.signal = WTERMSIG(how)};
  return Ending{.code = WEXITSTATUS(how)};
}

void Child::send(int signal) const { ::kill(pid_, signal); }

void Child::forward(const siginfo_t& signal, bool was_there) const {
  if (was_there && came_from_terminal(signal) && ::getpgid(pid_) == ::getpgrp()) return;
  if (signal.si_code != SI_KERNEL && signal.si_pid == pid_) return;
  send(signal.si_signo);
}

}  // namespace sherlock::cli
