// SPDX-License-Identifier: MIT
// Descriptors that carry a lock, and fork. A lock taken with flock(2) or as an open file description lock belongs to the open file, which
// a forked child shares: the child would keep its dead parent's locks alive. So every such descriptor is recorded here from the
// moment it is opened, and fork's handler closes them all in the child. The mutex is held over open-and-record and forget-and-close,
// and taken by the handler before the fork, so that no child inherits one that is not recorded.
#pragma once

#include <sys/stat.h>

#include <cstdint>

#include "posix/syscall.hpp"

namespace sherlock::posix {

// Closes itself, in forked children too (a raw clone or _Fork without exec escapes: nothing can tell us of those).
class LockFd {
 public:
  LockFd() = default;
  // As openat; the number is 3 or more, so that a program without stdio cannot print into a lock. Empty and errno when it fails.
  static LockFd open(int dir, const char* path, int flags, mode_t mode = 0);
  // Of a file on which somebody else in this process may have POSIX locks, which are gone when any descriptor of it is closed: this one is not, as long as
  // the file has a name. At its end what was locked through it is unlocked, and the next open_kept() of the file has it. Not for symbolic links.
  static LockFd open_kept(int dir, const char* path, int flags, mode_t mode = 0);

  LockFd(LockFd&& other) noexcept;
  LockFd& operator=(LockFd&& other) noexcept;
  ~LockFd() { reset(); }

  // -1 in a forked child: the number may be a stranger's by then.
  int get() const;
  explicit operator bool() const { return get() >= 0; }
  // The file it was opened on.
  const struct stat& opened() const { return opened_; }
  // Whether the number still is the file that was opened: somebody who closed descriptors that were not theirs made it a
  // stranger's, which must not be unlocked or closed by us.
  bool intact() const;
  void reset() noexcept;

 private:
  static LockFd open_and_record(int dir, const char* path, int flags, mode_t mode);

  int fd_ = -1;
  bool kept_ = false;
  std::uint64_t process_ = 0;
  struct stat opened_ {};
};

}  // namespace sherlock::posix
