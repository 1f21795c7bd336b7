// SPDX-License-Identifier: MIT
// The example of Python's sherlock, line by line.
#include <iostream>
#include <mutex>

#include <sherlock/sherlock.hpp>

using namespace std::chrono_literals;

int main() {
  sherlock::configure({.backend = "file", .ns = "python", .expire = 60s, .timeout = 10s});

  sherlock::Lock lock{"my_lock"};
  lock.acquire();                          // or LockTimeoutException after 10 s
  if (!lock.renew()) return 1;             // false: the lease ran out; stop
  std::cout << lock.locked() << '\n';      // somebody has it
  std::cout << lock.held() << '\n';        // this object has it
  lock.release();                          // LockLostException if it was not ours any more

  if (lock.try_acquire()) lock.release();  // lock.acquire(blocking=False)

  {
    const std::lock_guard hold{lock};      // with lock:
    std::cout << "at work\n";
  }

  sherlock::FileLock file{"my_lock", {.ns = "other", .expire = sherlock::never}};  // a backend by name, own options
  file.acquire();
}
