// SPDX-License-Identifier: MIT
// A Keeper over each built-in store, with real leases, threads and processes.
#include <sherlock/sherlock.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "catch.hpp"
#include "support/subprocess.hpp"
#include "support/temp_dir.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::Child;
using support::Exit;
using support::kPatience;
using support::Pipe;

namespace {

// A place of its own for locks of that backend, which is configured from now on.
class Place {
 public:
  explicit Place(const std::string& backend) {
    configure({.backend = backend, .client = backend == "file" ? directory_.path() : backend == "shm" ? segment_ : directory_ / "locks.db"});
  }
  ~Place() {
    if (::getpid() == maker_) ::unlink(("/dev/shm/" + segment_).c_str());
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  const support::TempDir directory_;
  const std::string segment_ = std::filesystem::path{directory_.path()}.filename();  // nobody else has it
  const pid_t maker_ = ::getpid();
};

}  // namespace

TEST_CASE("a kept lease outlasts itself, and is free when it is released", "[keeper]") {
  for (const std::string& backend : registry().names()) {
    CAPTURE(backend);
    const Place place{backend};
    bool kept = false;
    for (int tries = 0; tries < 10 && !kept; ++tries) {  // a machine that gives the keeper no time for half a second makes it lose, as it should
      std::atomic<int> told{0};
      Lock lock{"x", {.expire = 1s, .on_lost = [&](const LockException&) { ++told; }}}, other{"x", {.expire = 1s}};
      std::uint64_t fence = 0, still = 0;
      bool taken = false;
      try {
        lock.acquire();
        fence = lock.fence();
        const Keeper keeper{lock};
        taken = other.try_acquire_for(1500ms);
        still = lock.fence();
        lock.release();
      } catch (const LockException&) {
        continue;
      }
      kept = true;
      CHECK_FALSE(taken);
      CHECK(still == fence);
      CHECK(told == 0);
      CHECK(other.try_acquire());
      CHECK_FALSE(other.abandoned());
    }
    CHECK(kept);
  }
}

TEST_CASE("a process that was stopped past its kept lease is told when it goes on, and leaves its successor alone", "[keeper][process]") {
  for (const std::string& backend : registry().names()) {
    CAPTURE(backend);
    const Place place{backend};
    Pipe ready, lost, taken;
    Child holder{[&] {
      std::atomic<int> told{0};
      Lock lock{"x", {.expire = 300ms, .on_lost = [&](const LockException& what) {
                         told += what.code() == Errc::lost;
                         lost.tell();
                       }}};
      lock.acquire();
      const Keeper keeper{lock};
      ready.tell();
      while (!keeper.stop_token().stop_requested()) std::this_thread::yield();
      if (!taken.hear()) return 5;
      if (lock.held()) return 1;
      try {
        lock.release();
        return 2;
      } catch (const LockLostException&) {
      }
      if (told != 1) return 3;
      return lock.try_acquire() ? 4 : 0;
    }};
    REQUIRE(ready.hear());
    holder.stop();
    Lock successor{"x", {.expire = 1h, .timeout = kPatience}};
    successor.acquire();
    CHECK(successor.abandoned());
    taken.tell();
    holder.resume();
    CHECK(lost.hear());
    CHECK(holder.wait() == Exit{0, 0});
    CHECK(successor.held());
    CHECK(successor.renew());
    CHECK_NOTHROW(successor.release());
  }
}

TEST_CASE("a killed holder's keeper keeps nothing", "[keeper][process]") {
  for (const std::string& backend : registry().names()) {
    CAPTURE(backend);
    const Place place{backend};
    Pipe ready;
    Child holder{[&] {
      Lock lock{"x", {.expire = 1h}};
      lock.acquire();
      const Keeper keeper{lock};
      ready.tell();
      Child::sleep();
      return 0;
    }};
    REQUIRE(ready.hear());
    holder.kill();
    Lock next{"x", {.expire = 1h, .timeout = kPatience}};
    CHECK_NOTHROW(next.acquire());
    CHECK(next.abandoned());
  }
}

TEST_CASE("what a keeper has told as lost stays lost when it is gone, though the lease has a moment left", "[keeper]") {
  for (const std::string& backend : registry().names()) {
    CAPTURE(backend);
    const Place place{backend};
    std::atomic<bool> told{false};
    Lock lock{"x", {.expire = 1s, .on_lost = [&](const LockException&) { told = true; }}};
    lock.acquire();
    {
      const Keeper keeper{lock, {.lifetime = 1ns}};
      while (!told) std::this_thread::yield();
    }
    CHECK_FALSE(lock.held());
    CHECK_THROWS_AS(lock.release(), LockLostException);
  }
}
