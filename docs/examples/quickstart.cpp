// SPDX-License-Identifier: MIT
#include <iostream>
#include <mutex>

#include <sherlock/sherlock.hpp>

using namespace std::chrono_literals;

int main() {
  sherlock::configure({.backend = "file", .ns = "shop", .timeout = 5s});

  sherlock::Lock report{"nightly-report"};
  {
    std::unique_lock hold{report};  // waits 5 s at most, then throws LockTimeoutException
    std::cout << "writing the report, with fence " << report.fence() << '\n';
  }  // released, also when an exception passes through here

  if (std::unique_lock hold{report, std::try_to_lock})  // does not wait
    std::cout << "nobody else writes it\n";

  sherlock::FileLock stock{"stock"}, prices{"prices"};  // a backend by name
  std::scoped_lock both{stock, prices};                 // std's deadlock avoidance
  std::cout << "stock is held by pid " << *stock.holder()->pid << '\n';
}
