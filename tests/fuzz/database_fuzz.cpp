// SPDX-License-Identifier: MIT
// A database with the input's bytes written into it, or cut short. Whoever uses it as a store gets an answer or an exception of ours, in time, and dies of
// nothing. A process for each input: what has been opened once stays open.
//
// The input is a list of strokes of 8 bytes: where (4), how much is overwritten (2), with what (2).
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sherlock/sqlite_lock.hpp>

#include "fuzz.hpp"
#include "support/temp_dir.hpp"

namespace {

using namespace sherlock;
using namespace std::chrono_literals;

constexpr auto kInTime = 30s;  // of everything together, each call with a second to answer

[[noreturn]] void broken(const char* what, const char* call) {
  std::fprintf(stderr, "BROKEN: %s: %s\n", call, what);
  std::_Exit(1);
}

std::string bytes_of(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// A database that has been used by a process that is gone.
const std::string& used_database() {
  static const std::string bytes = [] {
    const support::TempDir directory;
    const std::string path = directory / "locks.db";
    if (const pid_t user = ::fork(); user == 0) {
      for (int i = 0; i < 40; ++i) {
        SqliteLock lock{std::to_string(i), {.ns = "ns", .label = std::string(100, 'l')}, path};
        lock.acquire();
        if (i % 2 == 0) lock.release();
      }
      ::_exit(0);
    } else {
      ::waitpid(user, nullptr, 0);
    }
    return bytes_of(path) + bytes_of(path + "-wal");  // what is not in the one is in the other; where it is torn, the more noise
  }();
  return bytes;
}

template <class Call>
void try_it(const char* name, Call call) {
  try {
    call();
  } catch (const LockException&) {
  } catch (const std::exception& e) {
    broken(e.what(), name);
  }
}

void use(const std::string& path) {
  ::alarm(std::chrono::seconds{kInTime}.count());
  for (const char* name : {"1", "2", "new"})
    try_it(name, [&] {
      SqliteLock lock{name, {.ns = "ns", .timeout = 10ms}, path};
      bool granted = false;
      try_it("try_acquire", [&] { granted = lock.try_acquire(); });
      if (!granted) try_it("acquire", [&] { lock.acquire(), granted = true; });
      try_it("locked", [&] { (void)lock.locked(); });
      try_it("holder", [&] { (void)lock.holder(); });
      try_it("renew", [&] { (void)lock.renew(); });
      try_it("release", [&] { lock.release(); });
    });
  try_it("list", [&] { (void)SqliteLock::list(path); });
  try_it("clean", [&] { (void)SqliteLock::clean(path); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  struct Stroke {
    std::uint32_t where;
    std::uint16_t length, value;
  };
  static_assert(sizeof(Stroke) == 8);
  std::string bytes = used_database();
  for (std::size_t i = 0; i + sizeof(Stroke) <= size && i < 64 * sizeof(Stroke); i += sizeof(Stroke)) {
    Stroke stroke;
    std::memcpy(&stroke, data + i, sizeof stroke);
    if (bytes.empty()) break;
    // The first page is what everything else hangs on.
    const std::size_t at = stroke.length % 3 == 0 ? stroke.where % std::min<std::size_t>(bytes.size(), 1024) : stroke.where % bytes.size();
    if (stroke.length == 0xffff) bytes.resize(at);
    for (std::size_t n = 0; n < stroke.length % 24u && at + n < bytes.size(); ++n) bytes[at + n] = static_cast<char>(stroke.value >> (n % 2 * 8));
  }
  const support::TempDir directory;
  const std::string path = directory.write("locks.db", bytes);
  std::fflush(nullptr);
  const pid_t user = ::fork();
  if (user == 0) {
    use(path);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(user, &status, 0);
  if (status != 0) {
    std::fprintf(stderr, "BROKEN: a user of the database ended with status %d\n", status);
    std::abort();
  }
  return 0;
}
