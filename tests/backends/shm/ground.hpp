// SPDX-License-Identifier: MIT
// A segment of the test's own.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

#include <sherlock/shm_lock.hpp>

#include "catch.hpp"
#include "local/together.hpp"
#include "posix/unique_fd.hpp"
#include "support/subprocess.hpp"
#include "support/temp_dir.hpp"

namespace ground {

using namespace std::chrono_literals;
using namespace sherlock;
using playground::eventually;
using playground::Shared;
using playground::skip;
using support::Child;
using support::Exit;
using support::kPatience;
using support::Pipe;

// What the tests in ../every ask for; and `client` and strangers_agree() below.
using StoreLock = ShmLock;
inline constexpr int kPairs = 5000;  // that take no time to speak of

class Ground {
 public:
  Ground() = default;
  ~Ground() {
    if (::getpid() == maker_) ::unlink(path.c_str());
  }
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;

  ShmLock lock(std::string name = "x", Options options = {}) const { return ShmLock{std::move(name), std::move(options), segment}; }

  const support::TempDir dir;  // whose name nobody else has
  const std::string segment = std::filesystem::path{dir.path()}.filename();  // not there at first
  const std::string& client = segment;
  const std::string path = "/dev/shm/" + segment;

  static bool strangers_agree(bool) { return true; }  // there are none

 private:
  const pid_t maker_ = ::getpid();
};

inline struct stat stat_of(const std::string& path) {
  struct stat result {};
  REQUIRE(::lstat(path.c_str(), &result) == 0);
  return result;
}

// The promise is to look when the last look is more than 10 ms old, by a clock that ticks every 10 ms at worst.
inline void let_the_last_look_be_old() {
  const auto now = [] {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
  };
  for (const auto start = now(); now() - start <= 10ms;) std::this_thread::sleep_for(1ms);
}

// What a call throws, as a T; nothing and another exception are failures of the test.
template <class T, class Call>
T thrown(Call call) {
  try {
    call();
  } catch (const T& e) {
    return e;
  }
  throw std::runtime_error{"nothing was thrown"};
}

template <class T, class Call>
bool throws(Call call) {
  try {
    call();
  } catch (const T&) {
    return true;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "thrown instead: %s\n", e.what());
  }
  return false;
}

}  // namespace ground
