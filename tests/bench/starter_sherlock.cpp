// SPDX-License-Identifier: MIT
// starter_sherlock BACKEND CLIENT
#include <sherlock/sherlock.hpp>

#include <memory>

#include "starter.hpp"

int main(int, char** argv) {
  return bench::start([&] {
    sherlock::configure({.backend = argv[1], .client = argv[2]});
    auto lock = std::make_unique<sherlock::Lock>("start");
    lock->lock();
    return lock;
  });
}
