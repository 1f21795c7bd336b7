// SPDX-License-Identifier: MIT
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ground.hpp"

using namespace ground;

TEST_CASE("a child forked while another thread opens segments keeps none of its dead parent's locks", "[shm][process]") {
  constexpr int kSegments = 12;
  for (int round = 0; round < 5; ++round) {
    const Ground ground;
    const Shared<std::atomic<int>> opened;
    const auto segment = [&](int i) { return ground.segment + "." + std::to_string(i); };
    Pipe ready, done;
    Child parent{[&] {
      std::vector<std::unique_ptr<ShmLock>> locks;
      std::thread opens{[&] {
        for (int i = 0; i < kSegments; ++i) {
          locks.push_back(std::make_unique<ShmLock>("x", Options{}, segment(i)));
          locks.back()->acquire();
          opened->store(i + 1);
        }
      }};
      while (opened->load() < 2 + round) std::this_thread::yield();
      const pid_t child = ::fork();
      if (child == 0) {
        ::alarm(support::kLifetime);
        ready.tell();
        done.hear();
        ::_exit(0);
      }
      opens.join();
      Child::sleep();
      return 0;
    }};
    REQUIRE(ready.hear());
    REQUIRE(eventually([&] { return opened->load() == kSegments; }));
    parent.kill();
    for (int i = 0; i < kSegments; ++i) {
      ShmLock lock{"x", {}, segment(i)};
      CHECK(lock.try_acquire_for(kPatience));
      CHECK(lock.abandoned());
      ::unlink((ground.path + "." + std::to_string(i)).c_str());
    }
    done.tell();
  }
}
