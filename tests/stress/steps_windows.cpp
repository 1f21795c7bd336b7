// SPDX-License-Identifier: MIT
#include "steps_windows.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <initializer_list>

#include "core/key.hpp"
#include "steps_use.hpp"

namespace stress {

using namespace std::chrono_literals;
using sherlock::FileLock;
namespace local = sherlock::local;

namespace {

bool listed(const Ground& g, const std::string& name) {
  const auto all = FileLock::list(g.directory);
  return std::any_of(all.begin(), all.end(), [&](const sherlock::LockInfo& info) { return info.name == name; });
}

// ------------------------------------------------------------------------------------------------------------------ names

// In one process, one after the other; then each must be listed.
void make_names(Ground& g, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    FileLock lock = g.lock(name);
    lock.acquire();
    lock.release();
  }
}

constexpr std::initializer_list<const char*> kNames = {"first", "second", "third"};

void names_are_listed(Ground& g) {
  for (const char* name : kNames)
    if (!listed(g, name)) g.complain(Wrong::table, "a name is lost");
}

}  // namespace

void other_names_made(Ground& g) {
  reap(spawn([&] { make_names(g, kNames); }));
}

void others_make_names(Ground& g) {
  make_names(g, kNames);
  g.stage.ready = true;
  g.wait_for(g.stage.victim_done);
  make_names(g, {"fourth"});
  names_are_listed(g);
}

// Somebody holds it as soon as he gets it, until the victim is done, or seems to want it too.
void holds_on(Ground& g) {
  FileLock lock = g.lock();
  if (!lock.try_acquire_for(20ms)) return others_go_on(g);
  hold(g, lock, rival_id, [&] {
    g.stage.ready = true;
    g.wait_for(g.stage.victim_done, 60'000'000);
    if (!listed(g, "x")) g.complain(Wrong::table, "the name is lost, and it is held");
  });
}

// The name has a whole life, wherever it stands: made, used and forgotten.
void live_and_be_forgotten(Ground& g) {
  FileLock lock = g.lock();
  if (!lock.try_acquire_for(20ms)) return others_go_on(g);
  hold(g, lock, rival_id);
  (void)FileLock::clean(g.directory);
}

// Its lease will be over, wherever it stands; then two have the lock, one after the other.
void outlast(Ground& g) {
  FileLock lock = g.lock();
  const std::int64_t give_up = now_ns() + kStuck;
  while (!lock.try_acquire_for(20ms)) {
    if (in_the_short_section(g)) {
      g.stage.blocked.fetch_add(1);
      return;
    }
    if (now_ns() >= give_up) return g.complain(Wrong::stuck, "a lease does not end");
  }
  hold(g, lock, rival_id);
  if (lock.try_acquire_for(20ms)) hold(g, lock, rival_id);
}

void look_too(Ground& g) {
  if (g.how == How::kill && g.lock().locked()) g.complain(Wrong::looks, "a free lock looks locked");
  others_go_on(g);
}

void try_too(Ground& g) {
  if (g.how == How::kill) shared_keeps_out(g);
  others_go_on(g);
}

void tries_once(Ground& g) {
  FileLock lock = g.lock();
  g.stage.ready = true;
  const std::int64_t from = now_ns();
  if (lock.try_acquire())
    hold(g, lock, rival_id);
  else if (now_ns() - from < 80'000'000)  // what a look is waited for
    g.complain(Wrong::refused, "a try, by a look");
}

// While one late holder stands between two steps of its release, another one comes to be late, and its successor dies.
void another_is_late(Ground& g) {
  g.wait_for(g.stage.cue[2]);
  bool free = false;
  reap(spawn([&] {
    FileLock lock = g.lock();
    if (!lock.try_acquire_for(30ms)) return;
    hold(g, lock, rival_id);
    g.stage.cue[3] = true;
  }));
  free = g.stage.cue[3];
  if (!free) return;
  const pid_t second = spawn([&] {
    FileLock lock = g.lock("x", {.expire = 3ms});
    lock.acquire();
    kill(getpid(), SIGSTOP);
    lock.unlock();
  });
  waitpid(second, nullptr, WUNTRACED);
  nap(5ms);
  g.stage.died = true;
  waitpid(spawn([&] {
            FileLock lock = g.lock();
            lock.acquire();
            kill(getpid(), SIGKILL);
          }),
          nullptr, 0);
  g.stage.ready = true;
  g.wait_for(g.stage.victim_done);
  survive(g);
  kill(second, SIGCONT);
  reap(second);
}

namespace {

// ------------------------------------------------------------------------------------------------------------------ renew

constexpr auto kLease = 90ms;

void renews_late(Ground& g) {
  FileLock lock = g.lock("x", {.expire = kLease});
  lock.acquire();
  nap(kLease / 3);
  g.arm();
  if (!lock.renew() || !lock.held()) return lock.unlock();
  { const Inside inside{g.stage.lock, victim_id, 1, g.stage.lock.fence + 1}; }
  lock.unlock();
}

// Takes it over, for ever; a third one tries whether he can.
void holds_for_ever(Ground& g) {
  FileLock lock = g.lock();
  if (!lock.try_acquire_for(std::chrono::nanoseconds{kStuck})) return others_go_on(g);
  hold(g, lock, rival_id, [&] {
    g.stage.ready = true;
    g.wait_for(g.stage.victim_done);
    reap(spawn([&] {
      FileLock third = g.lock();
      if (third.try_acquire_for(2 * kLease)) g.complain(Wrong::overlap, "taken over from one who never expires");
    }));
  });
}

// ---------------------------------------------------------------------------------------------------------------- recycle

// A name that can be where "x" can be.
std::string neighbour_of_x() {
  const auto index = [](const std::string& name) {
    return local::KeyHash::of(sherlock::detail::make_key("", name)).half[0] % local::kFirstEntries;
  };
  for (int i = 0;; ++i) {
    const std::string name = fmt::format("neighbour {}", i);
    if ((index(name) - index("x")) % local::kFirstEntries < local::Table::kPlaces) return name;
  }
}

// All places of "x" are taken; only its neighbour's may be given away, or none.
void window_is_full(Ground& g, bool neighbour) {
  reap(spawn([&] {
    if (neighbour) make_names(g, {neighbour_of_x().c_str()});
    const auto store = sherlock::file::FileStore::open(g.directory, sherlock::posix::Missing::create);
    const local::KeyHash x = local::KeyHash::of(sherlock::detail::make_key("", "x"));
    for (std::uint64_t i = 0; i < local::Table::kPlaces - (neighbour ? 1 : 0); ++i)
      store->table().find_or_make({{x.half[0], i}}, "", fmt::format("in the way {}", i)).entry->marks.store(local::kAbandoned);
  }));
}

void neighbour_holds_on(Ground& g) {
  const std::string name = neighbour_of_x();
  FileLock lock = g.lock(name.c_str());
  if (lock.try_acquire_for(20ms)) {
    g.stage.ready = true;
    g.wait_for(g.stage.victim_done, 60'000'000);
    if (!listed(g, name)) g.complain(Wrong::table, "the name is lost, and it is held");
    let_go(g, lock);
  }
}

// Its entry becomes that of "x" before it gets the gate.
void uses_the_neighbour(Ground& g) {
  const std::string name = neighbour_of_x();
  FileLock lock = g.lock(name.c_str(), {.timeout = 8s});
  lock.acquire();
  lock.release();
  g.arm();
  lock.acquire();
  if (!listed(g, name)) g.complain(Wrong::table, "the name is lost, and it is held");
  let_go(g, lock);
}

void makes_x(Ground& g) {
  FileLock lock = g.lock("x", {.timeout = 8s});
  g.arm();
  lock.acquire();
  hold(g, lock, victim_id);
}

}  // namespace

std::vector<Scene> windows() {
  return {
      {.name = "renew",
       .before = made_before,
       .victim = renews_late,
       .meanwhile = holds_for_ever,
       .up_to = "renew: done",
       .only = {How::hold}},
      {.name = "recycle",
       .before = [](Ground& g) { window_is_full(g, true); },
       .victim = makes_x,
       .meanwhile = neighbour_holds_on,
       .passes = "recycle: judged"},
      {.name = "given away", .before = [](Ground& g) { window_is_full(g, true); }, .victim = uses_the_neighbour, .only = {How::hold}},
      {.name = "grow", .before = [](Ground& g) { window_is_full(g, false); }, .victim = makes_x, .passes = "grow: published"},
  };
}

}  // namespace stress
