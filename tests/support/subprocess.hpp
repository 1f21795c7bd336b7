// SPDX-License-Identifier: MIT
// Real processes for tests. Nothing here waits for ever: who waits for a child or its word longer than kPatience gets an
// exception, and a child that was forgotten is ended by its alarm clock, which survives exec too.
//
//   Pipe ready;
//   Child holder{[&] { FileLock lock{"x"}; lock.acquire(); ready.tell(); Child::sleep(); return 0; }};
//   REQUIRE(ready.hear());
//   holder.kill();
//
// A child reports by its exit code (or a Pipe), not by CHECK: what Catch2 learns in a child is lost. What it throws is printed
// and becomes kThrew.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <concepts>
#include <cstdio>
#include <exception>
#include <ostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace support {

inline constexpr std::chrono::seconds kPatience{20};
inline constexpr unsigned kLifetime = 60;  // seconds, of a child
inline constexpr int kThrew = 99;          // exit code

// A hand-shake between processes, or threads: one tells, another hears.
class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw std::system_error{errno, std::generic_category(), "pipe2"};
  }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  void tell(char word = '.') const {
    if (::write(ends_[1], &word, 1) != 1) throw std::system_error{errno, std::generic_category(), "Pipe::tell"};
  }
  // The next word; '\0', which is false, when nobody tells one in time.
  char hear(std::chrono::milliseconds patience = kPatience) const {
    pollfd waited{ends_[0], POLLIN, 0};
    char word = '\0';
    if (::poll(&waited, 1, static_cast<int>(patience.count())) == 1 && ::read(ends_[0], &word, 1) == 1) return word;
    return '\0';
  }

 private:
  int ends_[2];
};

// How a process ended.
struct Exit {
  int code = -1;   // -1: by a signal
  int signal = 0;  // 0: by itself
  friend bool operator==(const Exit&, const Exit&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Exit& exit) {
    return exit.signal ? out << "signal " << exit.signal : out << "exit code " << exit.code;
  }
};

class Child {
 public:
  // Runs `body` in a forked child, which ends with the int that it returns; no destructor of the parent's objects runs there.
  template <std::invocable Body>
  explicit Child(Body body) {
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
    if (pid_ > 0) return;
    ::alarm(kLifetime);
    int code = kThrew;
    try {
      code = body();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "child %d: %s\n", ::getpid(), e.what());
    } catch (...) {
      std::fprintf(stderr, "child %d: threw something\n", ::getpid());
    }
    std::fflush(nullptr);
    ::_exit(code);
  }
  ~Child() {
    if (ended_ || pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(Child&& other) noexcept : pid_{std::exchange(other.pid_, -1)}, ended_{other.ended_}, exit_{other.exit_} {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  // Returns when the child has stopped, gone on, or died.
  void stop() { signal_and_see(SIGSTOP, WUNTRACED); }
  void resume() { signal_and_see(SIGCONT, WCONTINUED); }
  Exit kill() {
    signal(SIGKILL);
    return wait();
  }
  Exit wait(std::chrono::milliseconds patience = kPatience) {
    see(WEXITED, patience);
    return exit_;
  }
  bool running() {
    if (!ended_) look(WEXITED | WNOHANG);
    return !ended_;
  }

  // In a child that shall live until it is ended from outside.
  [[noreturn]] static void sleep() {
    for (;;) ::pause();
  }

 private:
  void signal_and_see(int number, int event) {
    signal(number);
    see(event | WEXITED, kPatience);
  }
  void see(int event, std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!ended_ && !look(event | WNOHANG)) {
      if (std::chrono::steady_clock::now() >= deadline) throw std::runtime_error{"a child did not do in time what it was to do"};
      std::this_thread::sleep_for(std::chrono::microseconds{200});
    }
  }
  bool look(int events) {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &info, events) != 0) throw std::system_error{errno, std::generic_category(), "waitid"};
    if (info.si_pid == 0) return false;
    if (info.si_code == CLD_EXITED) exit_ = {info.si_status, 0};
    if (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) exit_ = {-1, info.si_status};
    ended_ = info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
    return true;
  }

  pid_t pid_ = -1;
  bool ended_ = false;
  Exit exit_;
};

}  // namespace support
