// SPDX-License-Identifier: MIT
// Where lock holders meet: a count that comes out wrong, and a gate that sees two at a time, when the lock does not keep them apart.
// The memory is shared between processes.
#pragma once

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>

#include <fcntl.h>

namespace sherlock::conformance {

class Arena {
 public:
  Arena() : Arena{memfd_create("sherlock-conformance", MFD_CLOEXEC), true} {}
  // The one that another process made, as its path() says.
  explicit Arena(const std::string& path) : Arena{open(path.c_str(), O_RDWR | O_CLOEXEC), false} {}
  ~Arena() {
    munmap(ring_, sizeof(Ring));
    close(fd_);
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::string path() const { return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_); }

  // By whoever holds the lock.
  void visit() {
    if (ring_->inside.fetch_add(1) != 0) ring_->overlaps.fetch_add(1);
    const std::uint64_t count = ring_->count.load(std::memory_order_relaxed);
    if (count % 4 == 0) sched_yield();  // whoever does not belong here gets his chance
    ring_->count.store(count + 1, std::memory_order_relaxed);
    ring_->visits.fetch_add(1, std::memory_order_relaxed);
    ring_->inside.fetch_sub(1);
  }

  std::uint64_t visits() const { return ring_->visits; }
  std::uint64_t overlaps() const { return ring_->overlaps; }
  std::uint64_t lost_counts() const { return ring_->visits - ring_->count; }

 private:
  struct Ring {
    std::atomic<std::uint64_t> inside, overlaps, count, visits;
  };

  Arena(int fd, bool made) : fd_{fd} {
    if (fd_ < 0 || (made && ftruncate(fd_, sizeof(Ring)) != 0)) throw std::system_error{errno, std::generic_category(), "shared memory"};
    void* const memory = mmap(nullptr, sizeof(Ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (memory == MAP_FAILED) throw std::system_error{errno, std::generic_category(), "shared memory"};
    ring_ = static_cast<Ring*>(memory);
  }

  const int fd_;
  Ring* ring_ = nullptr;
};

}  // namespace sherlock::conformance
