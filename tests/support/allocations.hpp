// SPDX-License-Identifier: MIT
// Counts what operator new is asked for, in all threads. Include it in one source file of a program only: it replaces the operators.
#pragma once

// g++ sees through one of the pair and not the other, under -fsanitize=thread.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace support {

inline std::atomic<long> allocations{0};

inline void* counted(std::size_t size, std::align_val_t alignment = std::align_val_t{alignof(std::max_align_t)}) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (size > PTRDIFF_MAX) return nullptr;
  const auto unit = static_cast<std::size_t>(alignment);
  return std::aligned_alloc(unit, (size + unit) / unit * unit);
}

template <class... How>
void* counted_or_throw(std::size_t size, How... how) {
  if (void* const made = counted(size, how...)) return made;
  throw std::bad_alloc{};
}

}  // namespace support

// All of them: a sanitizer's own operators, where it keeps some, would not know what ours have made.
void* operator new(std::size_t size) { return support::counted_or_throw(size); }
void* operator new[](std::size_t size) { return support::counted_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return support::counted(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return support::counted(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return support::counted_or_throw(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return support::counted_or_throw(size, alignment); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return support::counted(size, alignment);
}
void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return support::counted(size, alignment);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { std::free(p); }
