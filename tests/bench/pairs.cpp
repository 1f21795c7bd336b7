// SPDX-License-Identifier: MIT
// pairs BACKEND CLIENT N: uncontended pairs, each in one_pair(), so that tools/dev/count_instructions.py can count what happens in it.
#include <sherlock/sherlock.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>

extern "C" [[gnu::noinline]] void one_pair(sherlock::Lock& lock) {
  lock.lock();
  lock.unlock();
}

int main(int, char** argv) {
  try {
    sherlock::configure({.backend = argv[1], .client = argv[2]});
    sherlock::Lock lock{"pair"};
    lock.lock();  // what is opened at the first use is not what is counted
    lock.unlock();
    for (int i = std::atoi(argv[3]); i > 0; --i) one_pair(lock);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
