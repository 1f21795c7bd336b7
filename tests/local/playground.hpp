// SPDX-License-Identifier: MIT
// A companion of the test's own, and processes around it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "local/companion.hpp"
#include "local/table.hpp"
#include "posix/unique_fd.hpp"
#include "support/subprocess.hpp"
#include "support/temp_dir.hpp"
#include "together.hpp"

namespace playground {

using sherlock::local::Companion;
using sherlock::local::KeyHash;

// A directory with a companion in it. A forked child opens the companion for itself: presence is a process's own.
class Playground {
 public:
  Companion::Place place(std::optional<unsigned> mode = {}) const { return {directory_.get(), ".sherlock", file(), mode}; }
  std::unique_ptr<Companion> open(std::optional<unsigned> mode = {}) const { return Companion::open(place(mode)); }
  std::string file() const { return dir / ".sherlock"; }

  const support::TempDir dir;

 private:
  const sherlock::posix::UniqueFd directory_{::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

// A key of the test's own making: `where` decides where in the table it can be, `which` tells it from others there.
inline KeyHash key(std::uint64_t where, std::uint64_t which) { return {{where | std::uint64_t{1} << 63, which}}; }
inline KeyHash scattered_key(std::uint64_t number) { return key(number * 0x9e3779b97f4a7c15, number); }

// Overwrites what stands in a file, as somebody who does not ask us would.
template <class T>
void forge(const std::string& file, std::uint64_t offset, const T& value) {
  const sherlock::posix::UniqueFd fd{::open(file.c_str(), O_WRONLY | O_CLOEXEC)};
  if (::pwrite(fd.get(), &value, sizeof value, static_cast<off_t>(offset)) != static_cast<ssize_t>(sizeof value))
    throw std::system_error{errno, std::generic_category(), "cannot forge " + file};
}

}  // namespace playground
