// SPDX-License-Identifier: MIT
#include "torture.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kStuck = 4'000'000'000;

class Worker {
 public:
  Worker(Torture& t, const Store& store, const std::atomic<bool>& stop, int number, std::uint64_t life, std::uint64_t seed)
      : t_{t}, stop_{stop}, number_{number}, life_{life}, dice_{seed} {
    for (int i = 0; i < kTorturedNames; ++i) locks_.push_back(store.lock(fmt::format("{}", i), {.timeout = 10s}));
  }

  void use_all() {
    for (int i = 0; i < kTorturedNames; ++i) {
      lock(i).acquire();
      hold(i);
    }
  }

  void work() {
    while (!stop_) {
      if (dice_.one_in(4))
        fight(0);
      else
        burst(static_cast<int>(dice_.between(1, kTorturedNames - 1)));
    }
    if (descriptors() > t_.descriptors) t_.leaked.fetch_add(1);
  }

 private:
  sherlock::BaseLock& lock(int i) { return *locks_[static_cast<std::size_t>(i)]; }

  void hold(int i, nanoseconds time = {}) {
    {
      const Inside inside{t_.name[i], number_, life_, lock(i).fence()};
      if (time.count() != 0) nap(time);
    }
    try {
      lock(i).release();
    } catch (const sherlock::LockLostException&) {
      t_.losses.fetch_add(1);
    }
  }

  // Until somebody else comes, or for so many.
  void burst(int i) {
    for (int n = 0; n < 400 && !stop_; ++n) {
      if (!lock(i).try_acquire()) return dice_.one_in(4) ? fight(i) : void();
      hold(i);
    }
  }

  void fight(int i) {
    bool granted = true;
    switch (dice_.between(0, 3)) {
      case 0: granted = lock(i).try_acquire(); break;
      case 1: granted = lock(i).try_acquire_for(dice_.time(1, 3000)); break;
      default:
        granted = lock(i).try_acquire_for(10s);
        if (!granted) t_.timeouts.fetch_add(1);
    }
    if (granted) hold(i, dice_.one_in(3) ? dice_.time(0, 300) : 0us);
  }

  Torture& t_;
  const std::atomic<bool>& stop_;
  const int number_;
  const std::uint64_t life_;
  Dice dice_;
  std::vector<std::unique_ptr<sherlock::BaseLock>> locks_;
};

// Which names have gone without a grant for long; from when they are first looked at.
class Progress {
 public:
  void look(Torture& t) {
    const std::int64_t now = now_ns();
    for (int i = 0; i < kTorturedNames; ++i) {
      heard_[i] = std::max({heard_[i], began_, t.name[i].last_grant.load()});
      const std::int64_t silence = now - heard_[i];
      if (silence > 0 && static_cast<std::uint64_t>(silence) > t.longest) t.longest = static_cast<std::uint64_t>(silence);
      if (silence < kStuck) continue;
      t.stuck.fetch_add(1);
      heard_[i] = now;
    }
  }

 private:
  const std::int64_t began_ = now_ns();
  std::int64_t heard_[kTorturedNames] = {};
};

void note_pid(Torture& t, Crew crew, int worker) {
  const std::int32_t me = getpid();
  t.pid[crew.number][worker] = me;
  for (const auto& other : t.pid[1 - crew.number])
    if (other == me) t.twins.fetch_add(1);
}

}  // namespace

void measure(Torture& t, const Store& store) {
  const pid_t pid = spawn([&] {
    Worker all{t, store, t.stop[0], kMaxWorkers - 1, 1, 0};
    all.use_all();
    t.descriptors = descriptors();
  });
  if (!reap(pid)) throw std::runtime_error{"no lock works at all"};
}

void supervise(Torture& t, const Store& store, Crew crew, std::uint64_t seed, double seconds) {
  Dice dice{seed};
  struct Life {
    pid_t pid;
    std::uint64_t number;
  };
  std::vector<Life> workers(static_cast<std::size_t>(crew.workers));
  std::uint64_t lives = 0;
  const auto start = [&](int i) {
    const auto dice_seed = static_cast<std::uint64_t>(dice.between(0, INT64_MAX));
    const std::uint64_t life = ++lives;
    const pid_t pid = spawn([&] {
      note_pid(t, crew, crew.first_worker() + i);
      Worker{t, store, t.stop[crew.number], crew.first_worker() + i, life, dice_seed}.work();
    });
    workers[static_cast<std::size_t>(i)] = {pid, life};
  };
  t.ready.fetch_add(1);
  while (t.ready < crew.crews) nap(100us);
  for (int i = 0; i < crew.workers; ++i) start(i);

  const std::int64_t end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
  Progress progress;
  while (now_ns() < end) {
    nap(dice.time(5000, 10000));
    const int i = static_cast<int>(dice.between(0, crew.workers - 1)), number = crew.first_worker() + i;
    const Life victim = workers[static_cast<std::size_t>(i)];
    for (auto& d : t.name) {
      mark_killed(d, number, victim.number);
      if (d.occupant == (static_cast<std::uint64_t>(number + 1) | victim.number << 16)) t.inside.fetch_add(1);
    }
    kill(victim.pid, SIGKILL);
    waitpid(victim.pid, nullptr, 0);
    t.pid[crew.number][number] = 0;
    t.kills.fetch_add(1);
    start(i);
    progress.look(t);
  }
  t.stop[crew.number] = true;
  std::vector<pid_t> pids;
  for (const Life& worker : workers) pids.push_back(worker.pid);
  t.failed.fetch_add(failed_of(pids));
}

void Torture::tell(Report& report, int debris) const {
  std::uint64_t grants = 0, overlaps = 0, torn = 0, back = 0;
  for (const auto& d : name) grants += d.grants, overlaps += d.overlaps, torn += d.torn, back += d.fences_back;
  report.count("acquisitions", grants);
  report.count("kills", kills);
  report.count("kills of holders", inside);
  report.broken("overlaps", overlaps);
  report.broken("torn counters", torn);
  report.broken("fences back", back);
  report.broken("timeouts", timeouts);
  report.broken("stuck", stuck);
  report.broken("losses", losses);
  report.broken("leaked descriptors", leaked);
  report.broken("debris", debris != 0);
  report.broken("failed workers", failed);
  report.broken("idle", grants < kills || kills == 0);
  report.worst("worst recovery", nanoseconds{static_cast<std::int64_t>(longest.load())});
}

}  // namespace stress
