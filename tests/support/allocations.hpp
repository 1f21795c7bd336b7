// SPDX-License-Identifier: MIT
// Counts what operator new is asked for, in all threads. Include it in one source file of a program only: it replaces the operators.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace support {

inline std::atomic<long> allocations{0};

inline void* counted(std::size_t size, std::size_t alignment = 0) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const made = alignment ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment) : std::malloc(size ? size : 1);
  if (!made) throw std::bad_alloc{};
  return made;
}

}  // namespace support

// The forms for arrays and the nothrow ones come here by default.
void* operator new(std::size_t size) { return support::counted(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return support::counted(size, static_cast<std::size_t>(alignment)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
