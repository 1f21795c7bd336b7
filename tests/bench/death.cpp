// SPDX-License-Identifier: MIT
// From the SIGKILL of a holder to the next holder: as it comes, with a child of the dead living on, with much memory to be torn down, with many locks.
#include <fmt/core.h>

#include <atomic>
#include <cstring>

#include "bench.hpp"

namespace bench {
namespace {

constexpr int kMostLocks = 64;
constexpr std::size_t kMuch = 512u << 20;

struct State {
  std::atomic<int> ready, round, waiting, granted;
  std::atomic<pid_t> child;
  std::atomic<bool> held;
  std::atomic<std::int64_t> granted_at[kMostLocks];
};

struct Dying {
  int deaths;
  bool leaves_child = false;
  bool has_much_memory = false;
  int locks = 1;
};

// Waits for its lock in each round; the first round is 1.
void wait_each_round(State& s, const Kind& kind, int number, int rounds) {
  const auto lock = kind.make();
  lock->pairs(1);
  s.ready.fetch_add(1);
  for (int round = 1; round <= rounds; ++round) {
    await([&] { return s.round >= round; });
    s.waiting.fetch_add(1);
    lock->lock();
    s.granted_at[number] = now_ns();
    lock->unlock();
    s.granted.fetch_add(1);
  }
}

// Takes everything and waits to be killed.
[[noreturn]] void hold_until_killed(State& s, const std::vector<Kind>& kinds, const Dying& how) {
  std::vector<std::unique_ptr<Contender>> locks;
  for (const Kind& kind : kinds) {
    locks.push_back(kind.make());
    locks.back()->lock();
  }
  std::unique_ptr<char[]> memory;
  if (how.has_much_memory) {
    memory.reset(new char[kMuch]);
    std::memset(memory.get(), 1, kMuch);
  }
  if (how.leaves_child) s.child = stress::spawn([] { pause(); });
  s.held = true;
  for (;;) pause();
}

// One of `kinds` for each lock. Microseconds until the last of them had its next holder.
std::vector<double> measure(const std::vector<Kind>& kinds, const Dying& how) {
  const stress::Shared<State> s;
  stress::Dice dice{1};
  Children waiters;
  for (int i = 0; i < how.locks; ++i) waiters.add([&, i] { wait_each_round(*s, kinds[static_cast<std::size_t>(i)], i, how.deaths); });
  await([&] { return s->ready == how.locks; });
  std::vector<double> took;
  for (int round = 1; round <= how.deaths; ++round) {
    const pid_t holder = stress::spawn([&] { hold_until_killed(*s, kinds, how); });
    await([&] { return s->held.load(); });
    s->waiting = s->granted = 0;
    s->round = round;
    await([&] { return s->waiting == how.locks; });
    stress::nap(dice.time(200, 1500));  // waited for long, or just lain down
    const std::int64_t killed = now_ns();
    kill(holder, SIGKILL);
    await([&] { return s->granted == how.locks; });
    std::int64_t last = 0;
    for (int i = 0; i < how.locks; ++i) last = std::max(last, s->granted_at[i].load());
    took.push_back(static_cast<double>(last - killed) / 1000);
    waitpid(holder, nullptr, 0);
    s->held = false;
    if (how.leaves_child) kill(s->child, SIGKILL);
  }
  waiters.join();
  return took;
}

void tell(Bench& bench, const std::string& what, const std::vector<double>& took, std::optional<double> middle, std::optional<double> nearly_all) {
  bench.report.row(fmt::format("{}: median", what), median(took), "us", middle);
  if (took.size() >= 1000)
    bench.report.row(fmt::format("{}: 999 of 1000 within", what), quantile(took, 0.999), "us", nearly_all);
  else
    bench.report.row(fmt::format("{}: worst of {}", what, took.size()), quantile(took, 1), "us", nearly_all);
}

}  // namespace

void death(Bench& bench) {
  const int most = bench.choose(1000, 5), few = bench.choose(20, 2), locks = bench.choose(kMostLocks, 4);
  std::vector<Kind> ours, theirs;
  for (int i = 0; i < locks; ++i) {
    ours.push_back(sherlock(bench.store, fmt::format("death {}", i), {.timeout = std::chrono::seconds{20}}));
    theirs.push_back(anchors(bench.store, For::cost, fmt::format("death {}", i)).front());
  }
  const std::vector<Kind> one{ours.front()}, anchor{theirs.front()};
  const std::string many = fmt::format("with {} locks and a waiter each, the last one", locks);

  tell(bench, "a holder killed", measure(one, {.deaths = most}), 1000, 10'000);
  tell(bench, "whose child lives on", measure(one, {.deaths = most, .leaves_child = true}), 1000, 10'000);
  tell(bench, many, measure(ours, {.deaths = few, .locks = locks}), {}, 10'000);
  if (!bench.smoke) tell(bench, "with 512 MiB resident", measure(one, {.deaths = few, .has_much_memory = true}), {}, bench.bounds.death_with_much_memory);
  tell(bench, anchor.front().name + ", a holder killed", measure(anchor, {.deaths = most}), {}, {});
  tell(bench, anchor.front().name + ", " + many, measure(theirs, {.deaths = few, .locks = locks}), {}, {});
  if (bench.smoke) return;
  tell(bench, anchor.front().name + ", with 512 MiB resident", measure(anchor, {.deaths = few, .has_much_memory = true}), {}, {});
}

}  // namespace bench
