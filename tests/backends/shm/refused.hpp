// SPDX-License-Identifier: MIT
// What somebody is told who may not use a segment; and a pen to spoil one with.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <system_error>

#include <sherlock/error.hpp>

#include "ground.hpp"

namespace ground {

struct Refused {
  Errc code{};
  std::string text;
  std::error_code cause{};
};

// A waiting verb with all the time in the world: what is refused late, or waited for, is seen by the test's own timeout.
inline Refused refused(const std::string& client) {
  try {
    ShmLock lock{"x", {.timeout = forever}, client};
    lock.acquire();
    lock.release();
    return {};
  } catch (const BackendException& e) {
    if (e.lock() != "x" || e.backend() != "shm") return {};
    return {static_cast<Errc>(e.code().value()), e.what(), e.cause()};
  }
}

template <class T>
void forge(const std::string& file, std::size_t at, const T& value) {
  const posix::UniqueFd fd{::open(file.c_str(), O_WRONLY | O_CLOEXEC)};
  REQUIRE(::pwrite(fd.get(), &value, sizeof value, static_cast<off_t>(at)) == static_cast<ssize_t>(sizeof value));
}

}  // namespace ground
