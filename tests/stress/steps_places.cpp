// SPDX-License-Identifier: MIT
// Windows in which what holds the lock is removed, moved or replaced, or is of another boot.
#include <fcntl.h>
#include <sherlock/clock.hpp>
#include <sys/file.h>

#include <cerrno>
#include <thread>

#include "local/presence.hpp"
#include "posix/syscall.hpp"
#include "steps_use.hpp"
#include "steps_windows.hpp"

namespace stress {

using namespace std::chrono_literals;
using sherlock::FileLock;
namespace local = sherlock::local;

namespace {

// In the file until `cue`, or until it has been there for so long; nobody of ours may be inside meanwhile.
void be_inside(const Ground& g, int fd, const std::atomic<bool>& cue, nanoseconds at_most) {
  std::atomic<std::uint64_t>& occupant = g.stage.lock.occupant;
  if (occupant.exchange(inside_as(rival_id)) != 0) g.complain(Wrong::overlap, "a foreigner found somebody inside");
  g.wait_for(cue, at_most.count());
  std::uint64_t me = inside_as(rival_id);
  if (!occupant.compare_exchange_strong(me, 0)) g.complain(Wrong::overlap, "somebody came in beside a foreigner");
  close(fd);
}

// A clock that somebody sets back later.
class FastClock final : public sherlock::Clock {
 public:
  FastClock() { sherlock::set_clock(this); }
  ~FastClock() override { sherlock::set_clock(nullptr); }
  std::chrono::nanoseconds monotonic() const override { return sherlock::real_clock().monotonic(); }
  std::chrono::nanoseconds boottime() const override { return sherlock::real_clock().boottime(); }
  std::chrono::system_clock::time_point wall() const override { return sherlock::real_clock().wall() + std::chrono::hours{1}; }
  void sleep_until(std::chrono::nanoseconds deadline, std::stop_token stop) override {
    sherlock::real_clock().sleep_until(deadline, std::move(stop));
  }
};

void made_an_hour_ahead(Ground& g) {
  reap(spawn([&] {
    const FastClock clock;
    FileLock lock = g.lock();
    lock.acquire();
    hold(g, lock, helper_id);
  }));
}

// The companion is of another boot.
void before_the_boot(Ground& g) {
  made_an_hour_ahead(g);
  const int fd = open(g.companion().c_str(), O_RDWR | O_CLOEXEC);
  const char other = 0x55;
  if (pwrite(fd, &other, 1, offsetof(local::Header, boot_id)) != 1) throw std::runtime_error{"pwrite"};
  close(fd);
}

void others_come_too(Ground& g) {
  try {
    others_go_on(g);
  } catch (const sherlock::BackendException& e) {
    // Who stands still while it remakes the companion keeps others out, who are told.
    if (e.code() != sherlock::Errc::busy || g.how == How::kill) throw;
    g.stage.blocked.fetch_add(1);
  }
}

// -------------------------------------------------------------------------------------------------------- removed, replaced

void used_before(Ground& g) {
  FileLock lock = g.lock("x", {.timeout = 8s});
  lock.acquire();
  hold(g, lock, victim_id);
  g.arm();
  lock.acquire();
  hold(g, lock, victim_id);
}

int foreign_lock(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  close(fd);
  return -1;
}

void foreigner_comes(Ground& g) {
  if (const int fd = foreign_lock(g.path()); fd >= 0) std::thread{[&g, fd] { be_inside(g, fd, g.stage.victim_done, 20ms); }}.detach();
  nap(100us);
}

// In less than a tick of the coarse clock, so that only a look at the descriptor tells.
void removed_at_once(Ground& g) {
  made_before(g);
  if (g.how != How::hold) return;
  g.at_point = [&] {
    unlink(g.path().c_str());
    foreigner_comes(g);
  };
}

void moved_away(Ground& g) {
  rename(g.path().c_str(), (g.parent + "/away").c_str());
  nap(9ms);
  const int fd = foreign_lock(g.path());
  if (fd < 0) return;
  std::thread inside{[&] { be_inside(g, fd, g.stage.victim_done, 30ms); }};
  nap(1ms);
  g.stage.ready = true;
  inside.join();
}

// Waits for one who calls it before he lets go.
void is_called(Ground& g) {
  FileLock lock = g.lock("x", {.timeout = 8s});
  lock.acquire();
  hold(g, lock, victim_id);
  g.stage.cue[0] = true;
  g.wait_for(g.stage.cue[1]);
  g.arm();
  lock.acquire();
  hold(g, lock, victim_id);
}

// When the file has just been removed, but he who lets go has had no time to look at the path.
void calls_at_a_removed_file(Ground& g) {
  made_before(g);
  if (g.how == How::hold) g.at_point = [&] { foreigner_comes(g); };
  g.help([&g] {
    g.wait_for(g.stage.cue[0]);
    FileLock lock = g.lock();
    lock.acquire();
    g.stage.cue[1] = true;
    nap(1500us);  // the victim falls asleep meanwhile, and most likely it is not time for us to look at the path
    unlink(g.path().c_str());
    try {
      lock.release();
    } catch (const sherlock::LockLostException&) {  // it was time
    }
  });
}

// Who has the file still has it, whatever companion he came by.
void companion_replaced(Ground& g) {
  unlink(g.companion().c_str());
  FileLock lock = g.lock();
  if (lock.try_acquire_for(10ms)) hold(g, lock, rival_id);
}

// Somebody is late, and nobody has the lock.
void a_straggler_and_nobody(Ground& g) {
  made_before(g);
  g.stage.late = g.stage.died = true;
  g.strays.push_back(spawn([&] {
    FileLock lock = g.lock("x", {.expire = 3ms});
    lock.acquire();
    kill(getpid(), SIGSTOP);
  }));
  waitpid(g.strays.back(), nullptr, WUNTRACED);
  nap(5ms);
  reap(spawn([&] {
    FileLock lock = g.lock();
    lock.acquire();
    hold(g, lock, helper_id);
  }));
}

void companion_replaced_beside_a_straggler(Ground& g) {
  kill(g.strays.back(), SIGKILL);
  nap(3ms);
  unlink(g.companion().c_str());
  // As for one who is not the file's owner: he cannot leave his companion's stamp on it.
  sherlock::posix::syscalls().futimens = [](int, const timespec*) {
    errno = EPERM;
    return -1;
  };
  FileLock lock = g.lock("x", {.expire = 10s});
  if (!lock.try_acquire_for(30ms)) return;
  hold(g, lock, rival_id, [&] {
    g.stage.ready = true;
    // Until the victim is inside, as it must not be, or waits for us.
    for (const std::int64_t give_up = now_ns() + kStuck; !g.stage.victim_done && lock.holder()->waiting == 0u && now_ns() < give_up;) nap(50us);
  });
}

// By one who is not the file's owner: he may set its time to now, and to no other.
void companion_replaced_by_another_user(Ground& g) {
  static auto* const futimens = sherlock::posix::syscalls().futimens;
  sherlock::posix::syscalls().futimens = [](int fd, const timespec* times) {
    if (!times) return futimens(fd, times);
    errno = EPERM;
    return -1;
  };
  companion_replaced(g);
}

// ---------------------------------------------------------------------------------------------------------------- a place

constexpr std::int64_t kLeft = 12;  // places that are left to choose from

void lock_bytes(int fd, std::int64_t from, std::int64_t count) {
  if (count == 0) return;
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = from;
  range.l_len = count;
  if (fcntl(fd, F_OFD_SETLK, &range) != 0) throw std::runtime_error{"the places are not free"};
}

// A holder died, and the next process gets its place in the store: all others but a few are taken.
void place_of_the_dead(Ground& g) {
  const pid_t dead = spawn([&] {
    FileLock lock = g.lock();
    lock.acquire();
    const auto store = sherlock::file::FileStore::open(g.directory, sherlock::posix::Missing::refuse);
    g.stage.number = store->companion().presence().me().slot;
    kill(getpid(), SIGKILL);
  });
  waitpid(dead, nullptr, 0);
  g.help([&] {
    const std::int64_t first = g.stage.number, behind = first + kLeft, rest = local::kSlots;
    const int fd = open(g.companion().c_str(), O_RDWR | O_CLOEXEC);
    for (const std::int64_t bytes : {local::kClaimByte, local::kPresenceByte}) {
      lock_bytes(fd, bytes + std::max<std::int64_t>(behind - rest, 0), std::min(first, rest) - std::max<std::int64_t>(behind - rest, 0));
      lock_bytes(fd, bytes + behind, std::max<std::int64_t>(rest - behind, 0));
    }
    g.stage.cue[0] = true;
    g.wait_for(g.stage.all_done, 10 * kStuck);
  });
  g.wait_for(g.stage.cue[0]);
}

}  // namespace

std::vector<Scene> replacements() {
  const char* const seen = "grant: the file is locked";  // the look comes next
  return {
      {.name = "removed", .before = removed_at_once, .victim = used_before, .up_to = seen, .only = {How::hold}},
      {.name = "moved", .before = made_before, .victim = used_before, .meanwhile = moved_away, .up_to = seen, .only = {How::hold}},
      {.name = "called", .before = calls_at_a_removed_file, .victim = is_called, .from = "gate: taken", .up_to = seen, .only = {How::hold}},
      {.name = "replaced", .before = made_before, .victim = used_before, .meanwhile = companion_replaced, .only = {How::hold}},
      {.name = "replaced by another user", .before = made_before, .victim = used_before, .meanwhile = companion_replaced_by_another_user, .only = {How::hold}},
      {.name = "replaced, late",
       .before = a_straggler_and_nobody,
       .victim = used_before,
       .meanwhile = companion_replaced_beside_a_straggler,
       .only = {How::hold}},
      {.name = "clock set back", .before = made_an_hour_ahead, .victim = cleans, .meanwhile = others_go_on},
      {.name = "another boot",
       .before = before_the_boot,
       .victim = makes_the_store,
       .meanwhile = others_come_too,
       .others = others_come_too,
       .passes = "remake: begun"},
      {.name = "place of the dead",
       .before = place_of_the_dead,
       .victim = makes_the_store,
       .meanwhile = holds_on,
       .others = outlast,
       .up_to = "presence: alive"},
  };
}

}  // namespace stress
