// SPDX-License-Identifier: MIT
// A segment of shared memory as this process has it open: a companion (local/companion.hpp) that lives in /dev/shm, and nothing else. One for all
// locks of the process in that segment; never closed.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>

#include <sherlock/shm_lock.hpp>

#include "local/companion.hpp"
#include "local/look_timer.hpp"
#include "local/table.hpp"
#include "posix/file.hpp"
#include "posix/unique_fd.hpp"

namespace sherlock::shm {

class ShmStore {
 public:
  // Null: it is missing and was not to be made. Throws what posix/file.hpp and local/companion.hpp throw.
  static std::shared_ptr<ShmStore> open(const ShmClient& client, posix::Missing missing);

  // The name of a client's segment, without the slash.
  static std::string segment_of(const ShmClient& client);

  local::Companion& companion() { return *companion_; }
  local::Table& table() { return table_; }

  // Whether a process that comes now finds the same segment, and our presence still counts; as of the last look, if that was some milliseconds ago at most.
  bool current();
  const local::LookTimer& look() const { return look_; }

 private:
  ShmStore(const std::string& segment, const ShmClient& client, int directory);

  std::unique_ptr<local::Companion> companion_;
  local::Table table_;
  std::atomic<bool> gone_{false};
  local::LookTimer look_;  // one for all locks of the segment: it is there or gone for all of them
};

}  // namespace sherlock::shm
