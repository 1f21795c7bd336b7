// SPDX-License-Identifier: MIT
// A store of lock files of the test's own, and the strangers who lock files there.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include <sherlock/file_lock.hpp>

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
using StoreLock = FileLock;
inline constexpr int kPairs = 800;  // that take no time to speak of

class Ground {
 public:
  FileLock lock(std::string name = "x", Options options = {}) const { return FileLock{std::move(name), std::move(options), store}; }

  const support::TempDir dir;
  const std::string store = dir / "locks";  // not there at first
  const std::string& client = store;

  // Somebody who uses flock(2) on the file and knows nothing of this library would have it, or not.
  bool strangers_agree(bool free) const;
};

// Somebody who knows nothing of this library and uses flock(2) on the same file, as flock(1) does.
class Foreigner {
 public:
  explicit Foreigner(const std::string& path, int flags = O_RDWR) : fd_{::open(path.c_str(), flags | O_CLOEXEC | O_CREAT, 0600)} {
    if (!fd_) throw std::system_error{errno, std::generic_category(), path};
  }
  bool try_lock(int operation = LOCK_EX) const { return ::flock(fd_.get(), operation | LOCK_NB) == 0; }
  void lock() const { REQUIRE(::flock(fd_.get(), LOCK_EX) == 0); }
  void unlock() const { REQUIRE(::flock(fd_.get(), LOCK_UN) == 0); }
  int fd() const { return fd_.get(); }

 private:
  const posix::UniqueFd fd_;
};

// Whether flock(1) would get it now.
inline bool flock_would_get(const std::string& path) { return Foreigner{path}.try_lock(); }

inline bool Ground::strangers_agree(bool free) const { return flock_would_get(lock().path()) == free; }

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
