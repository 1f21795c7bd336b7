// SPDX-License-Identifier: MIT
// Somebody else's program, against the installed library: that it builds and runs at all is the test.
#include <sherlock/sherlock.hpp>

#include <cstring>
#include <iostream>
#include <mutex>

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  if (std::strcmp(sherlock::version(), SHERLOCK_VERSION) != 0) {
    std::cerr << "headers of " << SHERLOCK_VERSION << ", library of " << sherlock::version() << '\n';
    return 1;
  }
  sherlock::configure({.backend = "file", .client = argv[1]});
  sherlock::Lock first{"consumer"};
  sherlock::FileLock second{"consumer", {}, argv[1]};
  {
    std::unique_lock hold{first};
    if (second.try_lock()) return 2;
    try {
      static_cast<void>(second.renew());
      return 3;
    } catch (const sherlock::LockNotHeldException& e) {  // an exception crosses from the library to its user
      std::cout << e.what() << '\n';
    }
  }
  if (!second.try_lock()) return 4;
  second.release();
  std::cout << "consumed sherlock " << sherlock::version() << '\n';
}
