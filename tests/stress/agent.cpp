// SPDX-License-Identifier: MIT
#include "agent.hpp"

#include <sys/prctl.h>

namespace stress {

using namespace std::chrono_literals;

namespace {

constexpr nanoseconds kForLong = 3600s;

std::int64_t monotonic_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

void await_change(const sherlock::posix::Word& word, std::uint32_t from, nanoseconds patience) {
  const nanoseconds until{monotonic_ns() + patience.count()};
  while (word.load() == from && nanoseconds{monotonic_ns()} < until) sherlock::posix::futex_wait(word, from, until);
}

Agent::Agent(const Store& store, Detector& detector, int who)
    : pid_{spawn([&] {
        alarm(0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(*seat_, store, detector, who);
      })} {}

Agent::~Agent() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Agent::tell(Verb verb) {
  seat_->well = false;
  seat_->verb = static_cast<std::uint32_t>(verb);
  sherlock::posix::futex_wake_all(seat_->verb);
}

// In slices that count as what they should have taken: a virtual machine may stand still for seconds, and whoever is waited for stood still with it.
bool Agent::done(nanoseconds patience) const {
  constexpr nanoseconds kSlice = 20ms;
  for (nanoseconds waited{0}; waited < patience; waited += kSlice) {
    const std::uint32_t verb = seat_->verb.load();
    if (verb == 0) return true;
    await_change(seat_->verb, verb, kSlice);
  }
  return seat_->verb.load() == 0;
}

void Agent::serve(Seat& seat, const Store& store, Detector& detector, int who) {
  std::unique_ptr<sherlock::BaseLock> lock, other, lease;
  for (;;) {
    await_change(seat.verb, 0, kForLong);
    try {
      if (!lock) {  // not before: in some scenes it is the victim that makes the store
        lock = store.lock("x", {.timeout = 30s});
        other = store.lock("other", {.timeout = 30s});
        lease = store.lock("x", {.expire = kLease});
      }
      switch (static_cast<Verb>(seat.verb.load())) {
        case Verb::none: continue;
        case Verb::use: {
          lock->acquire();
          seat.granted = now_ns();
          {
            const Inside inside{detector, who, 1, lock->fence()};
          }
          lock->release();
          break;
        }
        case Verb::use_other:
          other->acquire();
          seat.granted = now_ns();
          other->release();
          break;
        case Verb::take: lock->acquire(); break;
        case Verb::take_lease: lease->acquire(); break;
        case Verb::let_go: lock->release(); break;
        case Verb::let_go_late:
          try {
            lease->release();
            throw std::runtime_error{"a late holder was not told"};
          } catch (const sherlock::LockLostException&) {
          }
      }
      seat.well = true;
    } catch (const std::exception& e) {
      std::fprintf(stderr, "agent %d: %s\n", who, e.what());
    }
    seat.verb = 0;
    sherlock::posix::futex_wake_all(seat.verb);
  }
}

}  // namespace stress
