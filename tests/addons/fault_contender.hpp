// SPDX-License-Identifier: MIT
// One of the two processes of a fault run, and what the two say of themselves in shared memory.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <sherlock/clock.hpp>
#include <sherlock/error.hpp>
#include <sherlock/keeper.hpp>

#include "addons/faults.hpp"

namespace support::faults {

using namespace std::chrono_literals;
using namespace sherlock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

inline constexpr nanoseconds kNotRunning = 30ms;  // a holder that has not looked at its lock for so long was not running

inline std::int64_t boottime() { return real_clock().boottime().count(); }

// What a process says of itself, in shared memory. Instants are of CLOCK_BOOTTIME, which all processes see alike.
struct Seat {
  std::atomic<std::int64_t> holding{0};    // since when it takes itself for the holder; 0: it does not, or was told
  std::atomic<std::int64_t> confirmed{0};  // held() was seen then, or later
  std::atomic<std::int64_t> beat{0};       // it ran
  std::atomic<std::int64_t> round{0};      // likewise, outside of any verb
  std::atomic<int> stops{0};               // how often it was stopped
};

struct Board {
  Seat seats[2];
  std::atomic<int> port{0};  // the proxy's, once there is one
  std::atomic<bool> end{false};
  std::atomic<std::int64_t> forgot{0};  // when the server did, last
  std::atomic<std::uint64_t> fence{0};  // of the last grant
  std::atomic<std::int64_t> stood{0};   // how long the machine has run nobody, altogether: a virtual one may be halted
  std::atomic<int> acquisitions{0}, overlaps{0}, untold{0}, fences{0}, hangs{0}, forgotten{0}, late{0}, losses{0}, errors{0};
};

class SharedBoard {
 public:
  SharedBoard() {
    void* const memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error{errno, std::generic_category(), "mmap"};
    board_ = new (memory) Board;
  }
  ~SharedBoard() { ::munmap(board_, sizeof(Board)); }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  Board& operator*() const { return *board_; }
  Board* operator->() const { return board_; }

 private:
  Board* board_;
};

class Contender {
 public:
  Contender(const FaultSubject& subject, const FaultPlan& plan, std::string client, Board& board, int me)
      : subject_{subject}, plan_{plan}, client_{std::move(client)}, board_{board}, mine_{board.seats[me]}, other_{board.seats[1 - me]},
        chance_{plan.seed * 2 + static_cast<std::uint64_t>(me)} {}

  int run() {
    while (!board_.end) try {
        const std::unique_ptr<BaseLock> lock = subject_.make_lock(client_, "contended", options());
        for (int round = 0; round < 5 && !board_.end; ++round) this->round(*lock);
      } catch (const LockException&) {
        ++board_.errors;
        std::this_thread::sleep_for(5ms);
      }
    return 0;
  }

 private:
  Options options() {
    return {.expire = plan_.lease, .timeout = 2 * plan_.lease, .on_lost = [this](const LockException& what) {
              mine_.holding = 0;
              if (what.code() != Errc::lost) return;
              ++told_;
              ++board_.losses;
            }};
  }

  // A verb, and whether it took too long. Exceptions as the verb.
  template <class Verb>
  auto timed(nanoseconds limit, Verb verb) {
    struct Watch {
      Contender& c;
      const nanoseconds limit;
      const std::int64_t began = boottime();
      const int stops = c.mine_.stops;
      const std::int64_t stood = c.board_.stood;
      ~Watch() {
        const std::int64_t took = boottime() - began;
        if (took > limit.count() && c.mine_.stops == stops) {
          std::this_thread::sleep_for(100ms);  // so that whoever counts `stood` has done so
          if (took - (c.board_.stood - stood) > limit.count()) ++c.board_.hangs;
        }
        c.mine_.round = boottime();
      }
    } watch{*this, limit + plan_.slack};
    return verb();
  }

  void round(BaseLock& lock) {
    mine_.round = boottime();
    bool granted = false;
    try {
      granted = timed(lock.timeout().ns() + 1s, [&] { return lock.try_acquire_for(lock.timeout()); });
    } catch (const BackendException&) {
      ++board_.errors;
      std::this_thread::sleep_for(5ms);
    }
    if (!granted) return;

    const std::int64_t entry = boottime();
    told_ = 0;
    mine_.beat = entry;
    mine_.holding = entry;
    judge_entry(lock, entry);
    ++board_.acquisitions;
    try {
      const Keeper keeper{lock};
      hold(lock, entry);
      mine_.holding = 0;
      timed(plan_.lease + std::max<nanoseconds>(lock.timeout().ns(), 1s), [&] { lock.release(); });
    } catch (const LockLostException&) {
      if (told_ == 0) ++board_.untold;
    } catch (const LockNotHeldException&) {  // it was over before it could be kept
    } catch (const BackendException&) {
      ++board_.errors;
    }
    mine_.holding = 0;
  }

  // Whose hold this one ended has been told.
  void judge_entry(const BaseLock& lock, std::int64_t entry) {
    const std::int64_t theirs = other_.holding, beat = other_.beat;
    if (!lock.held()) return;
    const std::uint64_t fence = lock.fence();
    std::uint64_t last = board_.fence;
    while (last < fence && !board_.fence.compare_exchange_weak(last, fence)) {
    }
    if (last >= fence) ++board_.fences;
    if (theirs == 0 || theirs > entry) return;
    if (forgotten(theirs))
      ++board_.forgotten;
    else if (entry - beat > nanoseconds{kNotRunning}.count())
      ++board_.late;
    else
      ++board_.untold;
  }

  // A hold that was granted before the server forgot, perhaps some time before its owner heard so.
  bool forgotten(std::int64_t since) const { return board_.forgot > since - nanoseconds{plan_.lease}.count(); }

  // For a while, or until it is lost. held() never becomes true again in a hold; so who saw it after an instant held at that instant.
  void hold(const BaseLock& lock, std::int64_t entry) {
    const std::int64_t until = entry + static_cast<std::int64_t>(chance_() % static_cast<std::uint64_t>(nanoseconds{plan_.lease}.count() * 5 / 2));
    bool overlapped = false;
    for (std::int64_t now; !board_.end && (now = boottime()) < until;) {
      mine_.beat = now;
      if (!lock.held()) return;
      mine_.confirmed = now;
      const std::int64_t theirs = other_.confirmed;
      if (!overlapped && theirs > entry && lock.held()) {
        overlapped = true;
        ++(forgotten(std::min(entry, other_.holding.load())) ? board_.forgotten : board_.overlaps);
      }
      std::this_thread::sleep_for(200us);
    }
  }

  const FaultSubject& subject_;
  const FaultPlan& plan_;
  const std::string client_;
  Board& board_;
  Seat &mine_, &other_;
  std::mt19937_64 chance_;
  std::atomic<int> told_{0};  // of this hold
};

}  // namespace support::faults
