// SPDX-License-Identifier: MIT
#include "memory.hpp"

// g++ sees through one of the pair and not the other.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace stress {
namespace {

std::atomic<bool> counting{false};
std::atomic<long> passed{0}, first{0}, last{-1};

bool there_is_none() {
  if (!counting.load(std::memory_order_relaxed)) return false;
  const long n = ++passed;
  return n >= first && n <= last;
}

void* allocate(std::size_t size, std::align_val_t alignment = std::align_val_t{alignof(std::max_align_t)}) noexcept {
  if (size > PTRDIFF_MAX || there_is_none()) return nullptr;
  const auto unit = static_cast<std::size_t>(alignment);
  return unit <= alignof(std::max_align_t) ? std::malloc(size) : std::aligned_alloc(unit, (size + unit) / unit * unit);
}

template <class... How>
void* allocate_or_throw(std::size_t size, How... how) {
  if (void* const made = allocate(size, how...)) return made;
  throw std::bad_alloc{};
}

}  // namespace

void fail_memory(long nth, int times) {
  passed = 0;
  first = nth;
  last = nth + times - 1;
  counting = true;
}

std::uint64_t allocations_until_now() { return static_cast<std::uint64_t>(passed.load()); }

}  // namespace stress

void* operator new(std::size_t size) { return stress::allocate_or_throw(size); }
void* operator new[](std::size_t size) { return stress::allocate_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return stress::allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return stress::allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return stress::allocate_or_throw(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return stress::allocate_or_throw(size, alignment); }
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
