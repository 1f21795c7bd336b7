// SPDX-License-Identifier: MIT
// Catches two holders at once, by memory that only a holder may touch.
#pragma once

#include "stress.hpp"

namespace stress {

inline constexpr int kMaxWorkers = 256;

struct Detector {
  std::atomic<std::uint64_t> occupant;  // worker + 1 | life << 16; 0: nobody
  std::atomic<std::uint64_t> killed[kMaxWorkers];  // the life of a worker that the supervisor is ending, or has ended
  std::atomic<std::uint64_t> twin[2];   // loads and stores only, one after the other: equal whenever nobody is inside
  std::atomic<std::uint64_t> fence;     // of the last holder
  std::atomic<std::int64_t> last_grant;
  std::atomic<std::uint64_t> grants, overlaps, torn, fences_back;
};

// The supervisor marks before it kills: the lock comes free after that, so a successor never blames the dead.
inline void mark_killed(Detector& d, int worker, std::uint64_t life) { d.killed[worker].store(life); }

// While it lives, its worker says it has the lock.
class Inside {
 public:
  Inside(Detector& d, int worker, std::uint64_t life, std::uint64_t fence)
      : d_{d}, me_{static_cast<std::uint64_t>(worker + 1) | life << 16} {
    const std::uint64_t before = d.occupant.exchange(me_);
    const auto other = static_cast<int>(before & 0xffff) - 1;
    const bool died = before != 0 && d.killed[other].load() >= before >> 16;  // lives are counted over all workers
    if (before != 0 && !died) d.overlaps.fetch_add(1);
    if (before == 0 && d.twin[0] != d.twin[1]) d.torn.fetch_add(1);
    d.twin[1] = d.twin[0].load();
    if (d.fence.exchange(fence) >= fence) d.fences_back.fetch_add(1);
    d.grants.fetch_add(1);
    d.last_grant.store(now_ns());
    d.twin[0] = d.twin[0] + 1;
  }
  ~Inside() {
    d_.twin[1] = d_.twin[1] + 1;
    std::uint64_t mine = me_;
    if (!d_.occupant.compare_exchange_strong(mine, 0)) d_.overlaps.fetch_add(1);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  Detector& d_;
  const std::uint64_t me_;
};

}  // namespace stress
