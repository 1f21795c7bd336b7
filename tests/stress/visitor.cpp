// SPDX-License-Identifier: MIT
#include "visitor.hpp"

#include <sherlock/sherlock.hpp>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>

namespace stress {

using namespace std::chrono_literals;

Visit visit(const std::string& backend, const std::string& client, bool stays) {
  try {
    const auto lock = sherlock::registry().find(backend).make("x", {.timeout = 20ms}, client);
    if (!lock->try_acquire_for(20ms)) return Visit::busy;
    if (stays) {
      std::puts("holds");
      std::fflush(stdout);
      char end;
      while (read(STDIN_FILENO, &end, 1) > 0) {
      }
      if (!lock->renew()) return Visit::lost;
    }
    lock->release();
    return Visit::granted;
  } catch (const sherlock::LockLostException&) {
    return Visit::lost;
  } catch (const sherlock::BackendException& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return Visit::refused;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return Visit::failed;
  }
}

int visit_as_told(int argc, char** argv) { return argc < 4 ? 2 : static_cast<int>(visit(argv[2], argv[3], argc > 4)); }

}  // namespace stress
