// SPDX-License-Identifier: MIT
#include "posix/descriptors.hpp"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "posix/file.hpp"
#include "posix/process.hpp"

namespace sherlock::posix {
namespace {

struct Recorded {
  int fd;
  dev_t device;
  ino_t inode;
  bool idle = false;  // kept, for the next who opens the file
};

// Whoever closed descriptors that were not his may have got the number for a file of his own.
bool still(const Recorded& recorded) {
  struct stat now;
  return sys_fstat(recorded.fd, &now) == 0 && now.st_dev == recorded.device && now.st_ino == recorded.inode;
}

bool nameless(int fd) {
  struct stat now;
  return sys_fstat(fd, &now) == 0 && now.st_nlink == 0;
}

// Never destroyed: locks of static duration outlive it otherwise.
struct Record {
  std::mutex mutex;
  std::vector<Recorded> open;
  int cannot_watch_forks = 0;
};

Record& record() {
  static Record* const made = [] {
    auto* fresh = new Record;
    fresh->open.reserve(64);
    fresh->cannot_watch_forks = pthread_atfork([] { record().mutex.lock(); }, [] { record().mutex.unlock(); },
                                               [] {
                                                 for (const Recorded& recorded : record().open)
                                                   if (still(recorded)) sys_close(recorded.fd);
                                                 record().open.clear();
                                                 record().mutex.unlock();
                                               });
    return fresh;
  }();
  return *made;
}

// Of what was kept, and nobody comes for any more. With the record's mutex.
void close_nameless() {
  auto& open = record().open;
  open.erase(std::remove_if(open.begin(), open.end(), [](const Recorded& recorded) {
    if (!recorded.idle) return false;
    if (!still(recorded)) return true;
    const bool goes = nameless(recorded.fd);
    if (goes) sys_close(recorded.fd);
    return goes;
  }), open.end());
}

// Made while the program is loaded: a fork in the middle of the first use would leave the child waiting for its end.
[[maybe_unused]] const Record& made_at_start = record();

}  // namespace

LockFd LockFd::open(int dir, const char* path, int flags, mode_t mode) {
  const std::lock_guard guard{record().mutex};
  return open_and_record(dir, path, flags, mode);
}

LockFd LockFd::open_kept(int dir, const char* path, int flags, mode_t mode) {
  const std::lock_guard guard{record().mutex};
  LockFd made;
  const bool there = sys_fstatat(dir, path, &made.opened_, AT_SYMLINK_NOFOLLOW) == 0;
  if (!there && (errno != ENOENT || !(flags & O_CREAT))) return made;
  for (Recorded& recorded : record().open) {
    if (!there || !recorded.idle || recorded.device != made.opened_.st_dev || recorded.inode != made.opened_.st_ino || !still(recorded)) continue;
    recorded.idle = false;
    made.fd_ = recorded.fd;
    made.process_ = process_token();
    made.kept_ = true;
    return made;
  }
  close_nameless();
  made = open_and_record(dir, path, flags | O_NOFOLLOW, mode);
  made.kept_ = true;
  return made;
}

// With the record's mutex.
LockFd LockFd::open_and_record(int dir, const char* path, int flags, mode_t mode) {
  if (record().cannot_watch_forks != 0) {
    errno = record().cannot_watch_forks;
    throw_errno("pthread_atfork");
  }
  LockFd made;
  if (auto& open = record().open; open.size() == open.capacity()) open.reserve(2 * open.size());  // nothing may throw once it is open
  int fd = sys_openat(dir, path, flags | O_CLOEXEC, mode);
  if (fd >= 0 && fd < 3) {
    const int high = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int error = errno;
    sys_close(fd);
    errno = error;
    fd = high;
  }
  if (fd < 0) return made;
  if (sys_fstat(fd, &made.opened_) != 0) {
    const int error = errno;
    sys_close(fd);
    errno = error;
    return made;
  }
  record().open.push_back({fd, made.opened_.st_dev, made.opened_.st_ino});
  made.fd_ = fd;
  made.process_ = process_token();
  return made;
}

LockFd::LockFd(LockFd&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)}, kept_{other.kept_}, process_{other.process_}, opened_{other.opened_} {}

LockFd& LockFd::operator=(LockFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    kept_ = other.kept_;
    process_ = other.process_;
    opened_ = other.opened_;
  }
  return *this;
}

int LockFd::get() const { return fd_ >= 0 && process_ == process_token() ? fd_ : -1; }

bool LockFd::intact() const {
  struct stat now;
  return get() >= 0 && sys_fstat(fd_, &now) == 0 && now.st_ino == opened_.st_ino && now.st_dev == opened_.st_dev;
}

void LockFd::reset() noexcept {
  if (get() >= 0) {
    const std::lock_guard guard{record().mutex};
    auto& open = record().open;
    const auto recorded = std::find_if(open.begin(), open.end(), [this](const Recorded& one) {
      return one.fd == fd_ && one.device == opened_.st_dev && one.inode == opened_.st_ino;
    });
    struct stat now;
    const bool intact = sys_fstat(fd_, &now) == 0 && same_file(now, opened_);
    if (intact && kept_ && now.st_nlink > 0 && recorded != open.end()) {
      struct flock all = byte_range(F_UNLCK, 0, 0);
      sys_fcntl_lock(fd_, F_OFD_SETLK, &all);
      recorded->idle = true;
    } else {
      if (recorded != open.end()) open.erase(recorded);
      if (intact) sys_close(fd_);
    }
  }
  fd_ = -1;
}

}  // namespace sherlock::posix
