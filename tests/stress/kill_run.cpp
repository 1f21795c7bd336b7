// SPDX-License-Identifier: MIT
// A random worker is killed every 5 to 10 ms and replaced.
#include <fmt/core.h>

#include <sherlock/file_lock.hpp>

#include <vector>

#include "detector.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkers = 6, kNames = 3;

struct State {
  Detector name[kNames];
  std::atomic<std::uint64_t> timeouts, leaked, losses;
  std::atomic<bool> stop;
};

void work(State& s, const std::string& directory, int worker, std::uint64_t life, std::uint64_t seed) {
  Dice dice{seed};
  sherlock::FileLock lock[kNames] = {
      sherlock::FileLock{"0", {.timeout = 5s}, directory}, sherlock::FileLock{"1", {.timeout = 5s}, directory}, sherlock::FileLock{"2", {.timeout = 5s}, directory}};
  for (auto& l : lock) {
    l.acquire();
    l.release();
  }
  const int before = descriptors();
  while (!s.stop) {
    const auto i = static_cast<std::size_t>(dice.one_in(4) ? dice.between(1, kNames - 1) : 0);
    bool granted = true;
    switch (dice.between(0, 3)) {
      case 0: granted = lock[i].try_acquire(); break;
      case 1: granted = lock[i].try_acquire_for(dice.time(1, 3000)); break;
      default:
        granted = lock[i].try_acquire_for(5s);
        if (!granted) s.timeouts.fetch_add(1);
    }
    if (!granted) continue;
    {
      const Inside inside{s.name[i], worker, life, lock[i].fence()};
      if (dice.one_in(3)) nap(dice.time(0, 300));
    }
    try {
      lock[i].release();
    } catch (const sherlock::LockLostException&) {
      s.losses.fetch_add(1);
    }
  }
  if (descriptors() > before) s.leaked.fetch_add(1);
}

}  // namespace

int kill_run(const Run& run) {
  const support::TempDir directory;
  const Shared<State> s;
  Dice dice{run.seed};
  std::uint64_t life = 0;
  struct Worker {
    pid_t pid;
    std::uint64_t life;
  };
  std::vector<Worker> workers(kWorkers);
  const auto start = [&](int i) {
    const std::uint64_t seed = static_cast<std::uint64_t>(dice.between(0, INT64_MAX));
    workers[static_cast<std::size_t>(i)] = {spawn([&, seed] { work(*s, directory.path(), i, life, seed); }), life};
  };
  for (int i = 0; i < kWorkers; ++i) ++life, start(i);

  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 1e9);
  std::uint64_t kills = 0, inside = 0, stuck = 0;
  std::int64_t longest = 0, heard = now_ns();
  while (now_ns() < end) {
    nap(dice.time(5000, 10000));
    const int i = static_cast<int>(dice.between(0, kWorkers - 1));
    Worker& victim = workers[static_cast<std::size_t>(i)];
    for (auto& d : s->name) {
      mark_killed(d, i, victim.life);
      if (d.occupant == (static_cast<std::uint64_t>(i + 1) | victim.life << 16)) ++inside;
    }
    kill(victim.pid, SIGKILL);
    waitpid(victim.pid, nullptr, 0);
    ++kills;
    ++life;
    start(i);
    const std::int64_t now = now_ns();
    if (const std::int64_t grant = s->name[0].last_grant; grant != 0) heard = std::max(heard, grant);
    longest = std::max(longest, now - heard);
    if (now - heard > 2'000'000'000) {
      ++stuck;
      heard = now;
    }
  }
  s->stop = true;
  std::uint64_t failed = 0;
  for (const Worker& worker : workers) failed += !reap(worker.pid);

  std::uint64_t grants = 0, overlaps = 0, torn = 0, back = 0;
  for (const auto& d : s->name) grants += d.grants, overlaps += d.overlaps, torn += d.torn, back += d.fences_back;
  const int debris = files_in(directory.path()) - kNames;
  fmt::print("{} grants, {} kills ({} inside), longest without a grant {:.1f} ms, overlaps {}, torn {}, fences back {}, timeouts {}, stuck {}, losses {}, "
             "leaks {}, debris {}, failed {}",
             grants, kills, inside, static_cast<double>(longest) / 1e6, overlaps, torn, back, s->timeouts.load(), stuck, s->losses.load(),
             s->leaked.load(), debris, failed);
  return overlaps || torn || back || s->timeouts || stuck || s->losses || s->leaked || debris != 0 || failed || grants < kills;
}

}  // namespace stress
