// SPDX-License-Identifier: MIT
// For tests of several processes: what they share, and waiting for what another of them will do.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <new>
#include <string>
#include <system_error>
#include <thread>

#include "catch.hpp"
#include "support/subprocess.hpp"

namespace playground {

// return skip("why"): aloud.
inline void skip(const std::string& why) { WARN("skipped: " << why); }

// Sanitizers open descriptors for their own ends, and take fright when there are none.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(undefined_behavior_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

// A T that this process and the children it will fork share; zeroed at first.
template <class T>
class Shared {
 public:
  Shared() {
    void* const room = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) throw std::system_error{errno, std::generic_category(), "mmap"};
    value_ = new (room) T{};
  }
  ~Shared() { ::munmap(value_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  T* value_;
};

// True once it is; false when it has not become so for support::kPatience.
template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + support::kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds{200});
  }
  return true;
}

}  // namespace playground
