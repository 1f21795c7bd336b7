// SPDX-License-Identifier: MIT
#include "posix/clock.hpp"

#include <dlfcn.h>

namespace sherlock::posix::detail {
namespace {

using ReadClock = int (*)(clockid_t, timespec*);

// The symbol is part of the kernel's interface on each of these machines (vdso(7)); elsewhere the C library is asked.
ReadClock find_clock() {
#if defined(__x86_64__)
  constexpr const char* kName = "__vdso_clock_gettime";
#elif defined(__aarch64__)
  constexpr const char* kName = "__kernel_clock_gettime";
#else
  constexpr const char* kName = nullptr;
#endif
  // Mapped into every process by the kernel, so it is only found, never loaded; and never unloaded.
  void* const vdso = kName ? dlopen("linux-vdso.so.1", RTLD_NOLOAD | RTLD_NOW) : nullptr;
  void* const symbol = vdso ? dlsym(vdso, kName) : nullptr;
  timespec t;
  if (const auto found = reinterpret_cast<ReadClock>(symbol); found && found(CLOCK_REALTIME_COARSE, &t) == 0) return found;
  return clock_gettime;
}

}  // namespace

int (*read_clock)(clockid_t, timespec*) = clock_gettime;

namespace {
// While the program is loaded, before there can be a second thread.
[[maybe_unused]] const bool found_at_start = (read_clock = find_clock()) != nullptr;
}  // namespace

}  // namespace sherlock::posix::detail
