// SPDX-License-Identifier: MIT
// Windows between two threads of one lock object, and the pace of hand-overs.
#include <algorithm>
#include <thread>
#include <vector>

#include "steps_use.hpp"
#include "steps_windows.hpp"

namespace stress {

using namespace std::chrono_literals;
using sherlock::FileLock;

namespace {

// What the other thread of the victim's object does from when the first one stands still: it takes the lock, and still has it when the first
// one has gone on and is done. Whether it got it is none of its business.
void other_thread(Ground& g, FileLock& lock) {
  if (!g.wait_for(g.stage.arrived, 50'000'000)) return;
  const std::int64_t asked = now_ns();
  if (lock.try_acquire_for(15ms)) {
    g.stage.cue[3] = true;
    g.wait_for(g.stage.cue[2]);
    nap(200us);
    try {
      if (lock.held()) hold(g, lock, victim_id + 20, nullptr, asked);
    } catch (const sherlock::LockNotHeldException&) {  // its lease is over since it was asked for
    }
  }
  g.stage.cue[3] = true;
}

void two_threads(Ground& g, FileLock& lock, const std::function<void()>& first_does) {
  g.arm();
  std::thread second{[&] { other_thread(g, lock); }};
  first_does();
  g.stage.cue[2] = true;
  second.join();
}

void releases_beside(Ground& g) {
  FileLock lock = g.lock();
  lock.acquire();
  two_threads(g, lock, [&] { hold(g, lock, victim_id); });
}

// Its lease was taken over by another process, which has released since.
void releases_late_beside(Ground& g) {
  FileLock lock = g.lock("x", {.expire = 150ms});
  lock.acquire();
  nap(155ms);
  reap(spawn([&] {
    FileLock successor = g.lock();
    successor.acquire();
    hold(g, successor, helper_id);
  }));
  two_threads(g, lock, [&] { lock.unlock(); });
}

// It was late, and nobody took it over: what it does to tidy up must leave alone what the other thread has got since.
void renews_late_beside(Ground& g) {
  FileLock lock = g.lock("x", {.expire = 150ms});
  lock.acquire();
  nap(155ms);
  two_threads(g, lock, [&] {
    if (lock.renew()) g.complain(Wrong::untold, "renewed late");
  });
}

void wait_for_the_other_thread(Ground& g) { g.wait_for(g.stage.cue[3], 60'000'000); }

// --------------------------------------------------------------------------------------------------------------- the pace

constexpr int kMostHands = 4, kRounds = 10;

// Several want the lock all the time. What is wrong with the pace, or null: it must not lie idle between two of them, go again and again to the one
// who just had it, or forget one of them for long.
const char* measure_pace(Ground& g, int how_many) {
  struct Turn {
    int hand;
    std::int64_t asked, got, freed;
  };
  struct Turns {
    std::atomic<std::uint32_t> used;
    Turn turn[kMostHands * kRounds];
  };
  const Shared<Turns> turns;
  std::vector<pid_t> hands;
  for (int i = 0; i < how_many; ++i)
    hands.push_back(spawn([&, i] {
      FileLock lock = g.lock("x", {.timeout = 8s, .retry_interval = 5s});
      for (int round = 0; round < kRounds; ++round) {
        const std::int64_t asked = now_ns();
        lock.acquire();
        hold(g, lock, helper_id + i, [&] {
          Turn& turn = turns->turn[turns->used.fetch_add(1)];
          turn = {i, asked, now_ns(), 0};
          nap(3ms);
          turn.freed = now_ns();
        });
      }
    }));
  for (const pid_t hand : hands)
    if (!reap(hand)) g.complain(Wrong::failed, "a hand");

  // Not the last ones, when some have had enough.
  const std::size_t count = turns->used * 2 / 3;
  std::vector<std::int64_t> length, idle, waited;
  std::size_t again = 0;
  for (std::size_t i = 1; i < count; ++i) {
    const Turn &before = turns->turn[i - 1], &now = turns->turn[i];
    length.push_back(now.got - before.got);
    idle.push_back(now.got - before.freed);
    waited.push_back(now.got - now.asked);
    if (now.hand == before.hand) ++again;
  }
  for (auto* times : {&length, &idle, &waited}) std::sort(times->begin(), times->end());
  if (idle[count / 2] > 12'000'000) return "the lock lies idle";
  if (again > count / 4) return "it goes to the one who had it";
  if (waited[waited.size() - 2] > 3 * how_many * length[count / 2]) return "somebody is forgotten";
  return nullptr;
}

// A busy machine does each of that now and then, a lost wake does it every time.
void hand_over(Ground& g, int how_many) {
  const char* wrong = nullptr;
  for (int i = 0; i < 5; ++i)
    if (wrong = measure_pace(g, how_many); !wrong) return;
  g.complain(Wrong::slow, wrong);
}

}  // namespace

std::vector<Scene> of_threads() {
  return {
      {.name = "threads", .before = made_before, .victim = releases_beside, .meanwhile = wait_for_the_other_thread},
      {.name = "threads, taken over",
       .before = made_before,
       .victim = releases_late_beside,
       .meanwhile = wait_for_the_other_thread,
       .only = {How::hold}},
      {.name = "threads, late",
       .before = made_before,
       .victim = renews_late_beside,
       .meanwhile = wait_for_the_other_thread,
       .only = {How::hold}},
      {.name = "hand-over", .before = made_before, .victim = [](Ground& g) { hand_over(g, 2); }, .only = {How::none}},
      {.name = "hand-over in a queue", .before = made_before, .victim = [](Ground& g) { hand_over(g, kMostHands); }, .only = {How::none}},
  };
}

}  // namespace stress
