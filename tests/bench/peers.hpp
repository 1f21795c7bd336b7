// SPDX-License-Identifier: MIT
// What locks are built on, bare. Each is a BasicLockable of its own process, on something that the processes share by its path.
#pragma once

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>

namespace bench {

[[noreturn]] inline void fail(const std::string& what) { throw std::system_error{errno, std::generic_category(), what}; }

// flock(2) on a descriptor that is kept: the least that locks a file.
class Flock {
 public:
  explicit Flock(const std::string& path) : fd_{open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)} {
    if (fd_ < 0) fail(path);
  }
  ~Flock() { close(fd_); }
  Flock(const Flock&) = delete;
  Flock& operator=(const Flock&) = delete;
  void lock() { flock(fd_, LOCK_EX); }
  void unlock() { flock(fd_, LOCK_UN); }

 private:
  const int fd_;
};

// Held by a file that is open, as POSIX locks ought to have been.
class OpenFileDescription {
 public:
  explicit OpenFileDescription(const std::string& path) : fd_{open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)} {
    if (fd_ < 0) fail(path);
  }
  ~OpenFileDescription() { close(fd_); }
  OpenFileDescription(const OpenFileDescription&) = delete;
  OpenFileDescription& operator=(const OpenFileDescription&) = delete;
  void lock() { set(F_WRLCK); }
  void unlock() { set(F_UNLCK); }

 private:
  void set(short type) {
    struct flock byte {};
    byte.l_type = type;
    byte.l_whence = SEEK_SET;
    byte.l_len = 1;
    fcntl(fd_, F_OFD_SETLKW, &byte);
  }

  const int fd_;
};

// A T that processes share; its zeroes are set up by whoever finds that nobody did.
template <class T>
class Mapped {
 public:
  template <class SetUp>
  Mapped(const std::string& path, SetUp set_up) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0 || ftruncate(fd, sizeof(Block)) != 0) fail(path);
    void* memory = mmap(nullptr, sizeof(Block), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) fail(path);
    block_ = static_cast<Block*>(memory);
    if (!block_->made) set_up(block_->value);
    block_->made = true;
    flock(fd, LOCK_UN);  // the mapping keeps the file open, and with it the lock
    close(fd);
  }
  ~Mapped() { munmap(block_, sizeof(Block)); }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  T& operator*() const { return block_->value; }

 private:
  struct Block {
    alignas(64) T value;
    bool made;
  };
  Block* block_;
};

// What comes free when its holder dies, of what the system gives.
class RobustMutex {
 public:
  explicit RobustMutex(const std::string& path) : mutex_{path, set_up} {}
  void lock() {
    if (pthread_mutex_lock(&*mutex_) == EOWNERDEAD) pthread_mutex_consistent(&*mutex_);
  }
  void unlock() { pthread_mutex_unlock(&*mutex_); }

  static void set_up(pthread_mutex_t& mutex) {
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex, &kind);
  }

 private:
  const Mapped<pthread_mutex_t> mutex_;
};

// The floor of what excludes: nobody is woken, who waits burns its processor or gives it up.
class CasWord {
 public:
  explicit CasWord(const std::string& path) : word_{path, [](std::atomic<std::uint32_t>&) {}} {}
  void lock() {
    for (int tries = 0;; ++tries) {
      std::uint32_t free = 0;
      if ((*word_).compare_exchange_strong(free, 1, std::memory_order_acquire)) return;
      if (tries > 100) sched_yield();
    }
  }
  void unlock() { (*word_).store(0, std::memory_order_release); }

 private:
  const Mapped<std::atomic<std::uint32_t>> word_;
};

// The least that processes can sleep on: 0 free, 1 held, 2 held and somebody may sleep. Held for ever when its holder dies.
class FutexWord {
 public:
  explicit FutexWord(const std::string& path) : word_{path, [](std::atomic<std::uint32_t>&) {}} {}
  void lock() {
    std::uint32_t free = 0;
    if ((*word_).compare_exchange_strong(free, 1)) return;
    while ((*word_).exchange(2) != 0) futex(FUTEX_WAIT, 2);
  }
  void unlock() {
    if ((*word_).exchange(0) == 2) futex(FUTEX_WAKE, 1);
  }

 private:
  void futex(int operation, std::uint32_t value) { syscall(SYS_futex, &*word_, operation, value, nullptr, nullptr, 0); }

  const Mapped<std::atomic<std::uint32_t>> word_;
};

}  // namespace bench
