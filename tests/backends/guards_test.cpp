// SPDX-License-Identifier: MIT
// Nothing is made at its first use that a forked child could inherit half made: its parent's other thread, which would finish it, is not in the child, and the
// child would wait for it at its own first use. Compilers guard the making of a function's static objects by __cxa_guard_acquire, which is counted here.
#include <sherlock/sherlock.hpp>

#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "support/temp_dir.hpp"

namespace {

bool counting = false;
std::vector<void*> makers;

}  // namespace

extern "C" int __cxa_guard_acquire(std::uint64_t* guard) {
  using Acquire = int (*)(std::uint64_t*);
  static_assert(sizeof(Acquire) == sizeof(void*));
  static Acquire real = nullptr;  // constant: needs no guard of its own
  if (!real) real = reinterpret_cast<Acquire>(dlsym(RTLD_NEXT, "__cxa_guard_acquire"));
  const int to_be_made = real(guard);
  if (to_be_made && counting) makers.push_back(__builtin_return_address(0));
  return to_be_made;
}

namespace {

using namespace sherlock;

void use(const std::string& backend, const std::string& client) {
  const Backend found = registry().find(backend);
  const auto lock = found.make("x", {.expire = std::chrono::hours{1}}, client), other = found.make("x", {.timeout = std::chrono::milliseconds{1}}, client);
  lock->acquire();
  try {
    other->acquire();
  } catch (const LockTimeoutException& e) {
    static_cast<void>(e.code().message());
  }
  static_cast<void>(lock->holder());
  static_cast<void>(lock->renew());
  const Keeper keeper{*lock};
  lock->release();
  static_cast<void>(found.list(client));
  static_cast<void>(found.clean(client));
}

}  // namespace

int main() {
  const support::TempDir directory;
  const std::string segment = "sherlock-guards-" + std::to_string(::getpid());
  counting = true;
  for (const std::string& backend : registry().names()) {
    if (backend == "file") use(backend, directory / "locks");
    if (backend == "shm") use(backend, segment);
    if (backend == "sqlite") use(backend, directory / "locks.db");
  }
  try {
    SqliteLock{"x", {}, directory / "nowhere/locks.db"}.acquire();
  } catch (const BackendException& e) {
    static_cast<void>(e.cause().message());
  }
  counting = false;
  ::unlink(("/dev/shm/" + segment).c_str());
  for (void* const maker : makers) {
    Dl_info where{};
    dladdr(maker, &where);
    std::printf("BROKEN: made at its first use: in %s, %s+%#zx\n", where.dli_fname, where.dli_sname ? where.dli_sname : "?",
                static_cast<std::size_t>(static_cast<char*>(maker) - static_cast<char*>(where.dli_fbase)));
  }
  if (makers.empty()) std::printf("kept: nothing is made at its first use\n");
  return makers.empty() ? 0 : 1;
}
