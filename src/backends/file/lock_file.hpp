// SPDX-License-Identifier: MIT
// One lock file, and flock(2) on it. The gate word in the companion is taken before: nobody but its owner calls anything but probe(), so flock
// itself never has a queue of ours. What is in the file is nobody's business: other programs truncate and write such files.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "backends/file/file_store.hpp"
#include "local/layout.hpp"
#include "local/presence.hpp"
#include "posix/descriptors.hpp"

namespace sherlock::file {

class LockFile {
 public:
  explicit LockFile(std::string name) : name_{std::move(name)} {}

  // Opens it where it is not open, making it if missing. False: the directory is gone.
  bool open(const FileStore& store);
  void close() {
    const auto kept = keep();
    file_.reset();
  }
  int descriptor() const { return file_.get(); }
  // For one who looks at it without having the gate, as renew() of another thread does: meanwhile it is neither opened nor closed.
  std::unique_lock<std::mutex> keep() const { return std::unique_lock{changes_}; }

  // The kernel's answer, at once. Errors other than "somebody has it" are thrown.
  bool lock_exclusive(local::Entry& entry, const local::Presence& presence);
  bool lock_shared();
  // Throws when the kernel refuses. False: the descriptor is not ours any more, and the lock is gone with it.
  bool unlock();

  // Whether the descriptor still is the file that was opened.
  bool intact() const { return file_.intact(); }
  // Whether the file that is open is the one that the path leads to. A cheap look sees removal and replacement; a path look also sees that it
  // was moved away, or that the directory was.
  bool linked();
  bool at_path(const FileStore& store) const;

  // The time of the file's last change as linked() saw it, in nanoseconds: Companion::epoch() of who had it last, unless somebody wrote.
  std::int64_t stamp() const { return stamp_.load(std::memory_order_relaxed); }
  void set_stamp(std::int64_t nanoseconds);

  // Whether anybody has the file locked, without making a try of ours fail: tries look at entry.probe. Any thread.
  static bool anybody_has(const FileStore& store, const std::string& name, local::Entry* entry, const local::Presence& presence);

 private:
  const std::string name_;
  std::string path_;  // of the file that is open
  posix::LockFd file_;
  mutable std::mutex changes_;
  std::atomic<std::int64_t> stamp_{0};  // atomic: renew() of one thread may look while another is granted
};

}  // namespace sherlock::file
