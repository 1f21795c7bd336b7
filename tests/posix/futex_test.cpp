// SPDX-License-Identifier: MIT
#include "posix/futex.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <thread>

#include "catch.hpp"
#include "support/fault_script.hpp"
#include "support/subprocess.hpp"

using namespace sherlock::posix;
using namespace std::chrono_literals;

namespace {

std::chrono::nanoseconds in(std::chrono::nanoseconds rest) { return std::chrono::steady_clock::now().time_since_epoch() + rest; }

// A word that forked children see too.
struct SharedWord {
  SharedWord() : word{static_cast<Word*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))} {}
  ~SharedWord() { ::munmap(word, 4096); }
  SharedWord(const SharedWord&) = delete;
  SharedWord& operator=(const SharedWord&) = delete;
  Word* const word;
};

// Wakes until somebody was there to be woken.
bool wake_one(const Word& word) {
  const auto deadline = std::chrono::steady_clock::now() + support::kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    if (futex_wake(word) == 1) return true;
    std::this_thread::yield();
  }
  return false;
}

// 0 when woken, else what was wrong.
int sleep_on(const Word& word) {
  for (;;) {
    if (futex_wait(word, 7, in(support::kPatience)) == 0) return 0;
    if (errno != EINTR) return errno;
  }
}

}  // namespace

TEST_CASE("nobody sleeps on a word that has changed already", "[posix]") {
  const Word word{1};
  CHECK(futex_wait(word, 2, in(1h)) == -1);
  CHECK(errno == EAGAIN);
}

TEST_CASE("a sleeper wakes at its deadline, not before", "[posix]") {
  const Word word{1};
  const auto deadline = in(5ms);
  CHECK(futex_wait(word, 1, deadline) == -1);
  CHECK(errno == ETIMEDOUT);
  CHECK(in(0ns) >= deadline);
}

TEST_CASE("a deadline that has passed is no wait", "[posix]") {
  const Word word{1};
  for (const auto deadline : {in(-1s), 0ns, -1ns, std::chrono::nanoseconds::min()}) {
    CHECK(futex_wait(word, 1, deadline) == -1);
    CHECK(errno == ETIMEDOUT);
  }
}

TEST_CASE("a deadline without end is taken by the kernel", "[posix]") {
  const SharedWord shared;
  *shared.word = 7;
  support::Child sleeper{[&] { return futex_wait(*shared.word, 7, std::chrono::nanoseconds::max()) == 0 ? 0 : errno; }};
  CHECK(wake_one(*shared.word));
  CHECK(sleeper.wait() == support::Exit{0, 0});
}

TEST_CASE("a sleeper in another process is woken", "[posix]") {
  const SharedWord shared;
  *shared.word = 7;
  support::Child sleeper{[&] { return sleep_on(*shared.word); }};
  CHECK(wake_one(*shared.word));
  CHECK(sleeper.wait() == support::Exit{0, 0});
}

TEST_CASE("of two sleepers one is woken, or all", "[posix]") {
  const SharedWord shared;
  *shared.word = 7;
  support::Child first{[&] { return sleep_on(*shared.word); }}, second{[&] { return sleep_on(*shared.word); }};
  CHECK(wake_one(*shared.word));
  CHECK((first.running() + second.running()) >= 1);  // the woken one may not have ended yet, the other cannot have
  while (first.running() || second.running()) futex_wake_all(*shared.word);
  CHECK(first.wait() == support::Exit{0, 0});
  CHECK(second.wait() == support::Exit{0, 0});
}

TEST_CASE("waking where nobody sleeps wakes nobody", "[posix]") {
  const Word word{1};
  CHECK(futex_wake(word) == 0);
  CHECK(futex_wake_all(word) == 0);
}

TEST_CASE("who sleeps on several words learns which one was woken", "[posix]") {
  const SharedWord a, b;
  *a.word = *b.word = 7;
  support::Child sleeper{[&] {
    FutexWaiter waiters[] = {{*a.word, 7}, {*b.word, 7}};
    const long woken = futex_wait_any(waiters, 2, in(support::kPatience));
    return woken >= 0 ? static_cast<int>(woken) : errno == ENOSYS || errno == EPERM ? 50 : 51;
  }};
  const auto deadline = std::chrono::steady_clock::now() + support::kPatience;
  while (sleeper.running() && futex_wake(*b.word) == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  const int answer = sleeper.wait().code;
  if (answer == 50)
    WARN("this kernel has no futex_waitv: nothing was tested");
  else
    CHECK(answer == 1);
}

TEST_CASE("an interrupted sleep returns, so that the sleeper can look around", "[posix]") {
  support::FaultScript faults;
  faults.fail<&Syscalls::futex>(EINTR);
  const Word word{1};
  CHECK(futex_wait(word, 1, in(1h)) == -1);
  CHECK(errno == EINTR);
  CHECK(faults.calls<&Syscalls::futex>() == 1);
}
