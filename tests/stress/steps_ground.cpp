// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "backends/file/file_store.hpp"
#include "core/key.hpp"
#include "local/parking.hpp"
#include "local/presence.hpp"
#include "local/steps.hpp"
#include "steps_scenes.hpp"
#include "steps_use.hpp"

namespace stress {

using namespace std::chrono_literals;
using sherlock::FileLock;
namespace local = sherlock::local;
namespace gate = sherlock::local::gate;

// ----------------------------------------------------------------------------------------------------------------- points

namespace {

const Ground* armed = nullptr;
std::atomic<std::uint64_t> passed{0};

void on_step(const char* done) {
  const Ground& g = *armed;
  Stage& s = g.stage;
  if (g.how == How::none) {
    const std::uint32_t n = s.points.fetch_add(1);
    if (n < kMostPoints) s.point[n] = done;
    return;
  }
  if (std::string_view{done} != g.at || ++passed != g.nth) return;
  if (g.how == How::hold) {
    s.arrived = true;
    if (g.at_point) return g.at_point();
    while (!s.go) nap(50us);
    return;
  }
  if (g.how == How::kill) {
    s.died = true;
    s.orphan = s.lock.occupant == inside_as(victim_id);
    mark_killed(s.lock, victim_id, 1);
  }
  s.arrived = true;
  kill(getpid(), g.how == How::kill ? SIGKILL : SIGSTOP);
}

}  // namespace

void Ground::arm() const {
  armed = this;
  local::step_hook = on_step;
}

void Ground::help(const std::function<void()>& body) { helpers.push_back(spawn(body)); }

void Ground::complain(Wrong what, const char* why) const {
  stage.wrong[static_cast<int>(what)].fetch_add(1);
  if (verbose) fmt::print(stderr, "  {}: {} ({})\n", kWrongs[static_cast<int>(what)], why, getpid());
}

bool Ground::wait_for(const std::atomic<bool>& cue, std::int64_t at_most) const {
  const std::int64_t give_up = now_ns() + at_most;
  while (!cue) {
    if (now_ns() >= give_up) return false;
    nap(50us);
  }
  return true;
}

FileLock Ground::lock(const char* name, sherlock::Options options) const { return FileLock{name, std::move(options), directory}; }

std::string Ground::path(const char* name) const { return directory + "/" + sherlock::detail::make_key("", name) + ".lock"; }

// ------------------------------------------------------------------------------------------------------------------- use

bool excludes_foreigners(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  const bool got_in = flock(fd, LOCK_EX | LOCK_NB) == 0;
  close(fd);
  return !got_in;
}

void hold(const Ground& g, FileLock& lock, int who, const std::function<void()>& inside, std::int64_t asked) {
  {
    const Inside in{g.stage.lock, who, 1, lock.fence()};
    if (g.stage.orphan.exchange(false) && !lock.abandoned()) g.complain(Wrong::abandoned, "a dead holder's successor was not told");
    if (!excludes_foreigners(lock.path())) g.complain(Wrong::overlap, "a foreigner gets in beside a holder");
    if (inside) inside();
    if (!excludes_foreigners(lock.path())) g.complain(Wrong::overlap, "a foreigner gets in beside a holder, later");
  }
  let_go(g, lock, asked);
}

void let_go(const Ground& g, FileLock& lock, std::int64_t asked) {
  try {
    lock.release();
  } catch (const sherlock::LockLostException&) {
    if (asked == 0 || lock.expire().is_infinite() || now_ns() - asked < lock.expire().ns().count()) g.complain(Wrong::lost, "told of a loss that was none");
  }
}

local::Found entry_of(sherlock::file::FileStore& store, const char* name) {
  return store.table().find(local::KeyHash::of(sherlock::detail::make_key("", name)));
}

namespace {

// Whether the lock may be out of reach for as long as its present owner stands still: it has it, or is on its way.
bool rightly_blocked(const Ground& g) {
  const auto store = sherlock::file::FileStore::open(g.directory, sherlock::posix::Missing::refuse);
  const local::Found found = store ? entry_of(*store, "x") : local::Found{};
  if (!found) return false;
  const std::uint64_t word = found.entry->word.load(), looker = found.entry->probe.load() & 0xffffffff;
  const local::Presence& presence = store->companion().presence();
  if (looker != 0 && presence.alive(local::Identity::unpack(static_cast<std::uint32_t>(looker)))) return true;
  switch (gate::state(word)) {
    case local::GateState::free:
    case local::GateState::reserved:
    case local::GateState::foreign: return false;
    case local::GateState::held: return presence.alive(word) && !local::expired(*found.entry, word, std::chrono::nanoseconds{now_ns()});
    case local::GateState::acquiring: return presence.alive(word);
  }
  return false;
}

}  // namespace

bool in_the_short_section(const Ground& g) {
  const auto store = sherlock::file::FileStore::open(g.directory, sherlock::posix::Missing::refuse);
  const local::Found found = store ? entry_of(*store, "x") : local::Found{};
  if (!found) return false;
  const std::uint64_t word = found.entry->word.load();
  return gate::state(word) == local::GateState::acquiring && store->companion().presence().alive(word);
}

namespace {

bool use(const Ground& g, const char* name, int who, std::chrono::nanoseconds patience) {
  FileLock lock = g.lock(name);
  const std::int64_t from = now_ns();
  if (!lock.try_acquire_for(patience)) return false;
  if (name == std::string_view{"x"})
    hold(g, lock, who);
  else
    let_go(g, lock);
  std::int64_t longest = g.stage.longest;
  while (longest < now_ns() - from && !g.stage.longest.compare_exchange_weak(longest, now_ns() - from)) {
  }
  return true;
}

}  // namespace

void others_go_on(Ground& g) {
  if (!use(g, "other", rival_id, std::chrono::nanoseconds{kStuck})) g.complain(Wrong::stuck, "another name");
  const std::int64_t give_up = now_ns() + kStuck;
  for (bool again = false; !use(g, "x", rival_id, again ? 400ms : 8ms); again = true) {
    if (rightly_blocked(g)) {
      g.stage.blocked.fetch_add(1);
      return;
    }
    if (now_ns() >= give_up) return g.complain(Wrong::stuck, "the name, though nobody has it");
  }
}

void others_use_it(Ground& g) {
  const std::int64_t give_up = now_ns() + 20'000'000;
  for (int i = 1; i <= 8 && now_ns() < give_up; ++i) {
    use(g, "x", rival_id, 2ms);
    (void)g.lock().locked();
    if (i % 4 == 0) FileLock::clean(g.directory);
    if (i % 4 == 2) (void)FileLock::list(g.directory);
    use(g, fmt::format("another {}", i % 3).c_str(), rival_id, 2ms);
  }
  others_go_on(g);
}

void shared_keeps_out(const Ground& g) {
  FileLock lock = g.lock();
  const int fd = open(lock.path().c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  if (flock(fd, LOCK_SH | LOCK_NB) != 0) g.complain(Wrong::stuck, "the file is locked for ever");
  int slow = 0;
  for (int i = 0; i < 3; ++i) {
    const std::int64_t from = now_ns();
    if (lock.try_acquire()) {
      g.complain(Wrong::overlap, "granted beside a foreign shared lock");
      let_go(g, lock);
    } else if (now_ns() - from > 90'000'000) {
      ++slow;
    }
  }
  if (slow == 3) g.complain(Wrong::slow, "every refusal takes long");
  close(fd);
}

void survive(Ground& g) {
  if (!g.stage.late && !g.stage.died && g.helpers.empty()) shared_keeps_out(g);
  if (!use(g, "x", survivor_id, std::chrono::nanoseconds{kStuck})) g.complain(Wrong::stuck, "the survivor");
}

// ---------------------------------------------------------------------------------------------------------------- the end

namespace {

void table_is_whole(const Ground& g) {
  const auto store = sherlock::file::FileStore::open(g.directory, sherlock::posix::Missing::create);
  const bool nobody_died = g.how != How::kill;
  local::Companion& companion = store->companion();
  std::set<std::pair<std::uint64_t, std::uint64_t>> keys;
  for (std::uint32_t s = 0; s < companion.segments(); ++s)
    for (std::uint32_t i = 0; i < local::segment_shape(s).entries; ++i) {
      const local::Entry& entry = companion.entry(s, i);
      const std::uint64_t state = entry.tenure.load() >> 62, word = entry.word.load();
      if (state == 3 && !keys.emplace(entry.hash[0].load(), entry.hash[1].load()).second) g.complain(Wrong::table, "two entries for a key");
      if (!nobody_died) continue;
      if (state == 1 || state == 2) g.complain(Wrong::table, "an entry was left half made");
      if (gate::state(word) != local::GateState::free || gate::flags(word) != 0) g.complain(Wrong::table, "an entry was left in use");
      if ((entry.probe.load() & 0xffffffff) != 0) g.complain(Wrong::table, "a look was left announced");
    }
}

void nothing_left_behind(const Ground& g) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory{opendir(g.directory.c_str()), closedir};
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != ".." && name != ".sherlock" && !name.ends_with(".lock")) g.complain(Wrong::debris, entry->d_name);
  }
}

}  // namespace

void look_around(Ground& g) {
  FileLock lock = g.lock();
  if (!g.stage.died) shared_keeps_out(g);
  for (int round = 0; round < 2; ++round) {
    if (lock.locked()) g.complain(Wrong::looks, "a free lock looks locked");
    if (!lock.try_acquire_for(std::chrono::nanoseconds{kStuck})) return g.complain(Wrong::stuck, "at the end");
    if (round == 1 && lock.abandoned()) g.complain(Wrong::abandoned, "released, and yet abandoned");
    const auto holder = lock.holder();
    if (!holder || holder->pid != getpid() || holder->fence != lock.fence()) g.complain(Wrong::looks, "the holder is not named");
    const auto all = FileLock::list(g.directory);
    if (std::none_of(all.begin(), all.end(), [](const sherlock::LockInfo& info) { return info.name == "x"; }))
      g.complain(Wrong::table, "the name is lost");
    hold(g, lock, last_id);
  }
  shared_keeps_out(g);  // whatever was counted of the dead: the lock was held by one alone since
  if (lock.holder()) g.complain(Wrong::looks, "a free lock has a holder");
  table_is_whole(g);
  nothing_left_behind(g);
}

}  // namespace stress
