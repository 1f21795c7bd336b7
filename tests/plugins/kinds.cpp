// SPDX-License-Identifier: MIT
// Plug-ins, good and bad, compiled once for each kind (SHERLOCK_TEST_KIND, a number of Kind). Each has a constructor that writes its kind
// into the file that SHERLOCK_TEST_MARKER names: so a test sees whether code of it has run.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include <sherlock/plugin.hpp>

#include "../../docs/examples/memory_lock.hpp"
#include "kinds.hpp"

namespace {

[[maybe_unused]] constexpr auto kKind = static_cast<plugins::Kind>(SHERLOCK_TEST_KIND);

__attribute__((constructor)) void mark() {
  const char* const path = std::getenv("SHERLOCK_TEST_MARKER");
  const int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
  if (file < 0) return;
  const char kind = static_cast<char>('a' + SHERLOCK_TEST_KIND);
  if (write(file, &kind, 1) != 1) std::abort();
  close(file);
}

[[maybe_unused]] sherlock::Backend called(const char* name) {
  return sherlock::backend<example::MemoryLock>({.name = name, .library = "std", .default_client = "default"});
}

}  // namespace

#if SHERLOCK_TEST_KIND == SHERLOCK_TEST_UNDEFINED
extern "C" int sherlock_test_defined_nowhere();
int asked_for = sherlock_test_defined_nowhere();
#endif

#if SHERLOCK_TEST_KIND == SHERLOCK_TEST_NO_ENTRY
// The note, and not the function.
#define sherlock_plugin_v1 sherlock_plugin_v0
#endif

#if SHERLOCK_TEST_KIND != SHERLOCK_TEST_PLAIN
SHERLOCK_PLUGIN(registry) {
  using plugins::Kind;
  if constexpr (kKind == Kind::throws) {
    registry.add(called("half"));
    throw std::runtime_error{"no licence\x1b[31m"};
  } else if constexpr (kKind == Kind::throws_other) {
    registry.add(called("half"));
    throw 5;
  } else if constexpr (kKind == Kind::taken) {
    registry.add(called("before"));
    registry.add(called("file"));
    registry.add(called("zebra"));
  } else if constexpr (kKind == Kind::twice) {
    registry.add(called("half"));
    registry.add(called("half"));
  } else if constexpr (kKind == Kind::asks) {
    // Uses the registry of the process meanwhile, also for another plug-in.
    static_cast<void>(sherlock::registry().names());
    static_cast<void>(sherlock::registry().find("good"));
    sherlock::registry().configure({.label = "asked"});
    if (sherlock::registry().names().at(0) != "asks") sherlock::registry().add(called("asks"));  // as the program could, meanwhile
    registry.add(called("asks"));
  } else if constexpr (kKind == Kind::meets) {
    // Does not go on before another thread has come as far.
    static std::atomic<int> here{0};
    ++here;
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (here < 2 && std::chrono::steady_clock::now() < patience) std::this_thread::yield();
    registry.add(called("good"));
  } else if constexpr (kKind == Kind::two) {
    registry.add(called("one"));
    registry.add(called("two"));
  } else if constexpr (kKind != Kind::empty) {
    registry.add(called("good"));
  }
}
#endif
