// SPDX-License-Identifier: MIT
// A neighbour who means ill, of another user: whatever he puts where a store or a lock is to be, we refuse it by name or are not disturbed by it, and
// what he makes us point at stays as it was.
#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "store.hpp"
#include "stress.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;

// What can lie in the way. The last two are not always a trap: in a shared store anybody may make the files of locks.
enum Thing { symlink_to, dangling, hard_link, fifo, directory, plain, nothing, things };
constexpr const char* kNames[] = {"symlink", "dangling symlink", "hard link", "FIFO", "directory", "foreign file", "nothing"};

struct State {
  std::atomic<int> stage;  // of the neighbour: odd, his turn
  std::atomic<int> thing;
  std::atomic<bool> placed, over;
  char path[4096];
  std::atomic<std::uint64_t> flips, grants, refused, timeouts, losses;
};

// A file of ours that he may link to and write. Nothing is ever done to it.
class Victim {
 public:
  explicit Victim(const std::string& path) : path_{path} {
    std::ofstream{path_} << "precious";
    chmod(path_.c_str(), 0666);
    before_ = look();
  }
  ~Victim() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }
  bool unharmed() const { return look() == before_; }

 private:
  std::string look() const {
    struct stat st {};
    stat(path_.c_str(), &st);
    std::string text;
    std::ifstream{path_} >> text;
    return fmt::format("{} {:o} {} {} {}", text, st.st_mode, st.st_uid, st.st_size, st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec);
  }
  const std::string path_;
  std::string before_;
};

bool place(int thing, const std::string& path, const std::string& victim) {
  switch (thing) {
    case symlink_to: return symlink(victim.c_str(), path.c_str()) == 0;
    case dangling: return symlink((victim + "-nowhere").c_str(), path.c_str()) == 0;
    case hard_link: return link(victim.c_str(), path.c_str()) == 0;
    case fifo: return mkfifo(path.c_str(), 0666) == 0;
    case directory: return mkdir(path.c_str(), 0777) == 0;
    case plain: {
      const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd < 0) return false;
      const bool done = fchmod(fd, 0666) == 0 && ftruncate(fd, 1 << 20) == 0;
      close(fd);
      return done;
    }
    default: return true;
  }
}

void become_nobody() {
  if (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0) throw std::runtime_error{"cannot become nobody"};
}

// Puts things where he is told to, and takes them away again.
void neighbour(State& s, const std::string& victim) {
  become_nobody();
  std::error_code ignored;
  while (!s.over) {
    if (s.stage % 2 == 0) {
      nap(50us);
      continue;
    }
    const std::string path{s.path};
    s.placed = place(s.thing, path, victim);
    const int mine = s.stage.fetch_add(1) + 1;
    while (s.stage == mine && !s.over) nap(50us);
    fs::remove_all(path, ignored);
    s.stage.fetch_add(1);
  }
}

// What an attempt to lock came to.
enum class Came { granted, busy, refused };
Came attempt(const Store& store, const std::string& name) {
  try {
    const auto lock = store.lock(name, {.timeout = 20ms});
    if (!lock->try_acquire()) return Came::busy;
    lock->release();
    return Came::granted;
  } catch (const sherlock::LockException&) {
    return Came::refused;
  }
}

// Of a store for ourselves he may open nothing, be it to read: whoever can open a file can lock it.
std::uint64_t opened_by_nobody(const std::string& backend) {
  const Store store{backend};
  store.open_to_all();
  attempt(store, "x");
  const std::string paths[] = {store.root(), store.path("x"), store.companion()};
  const Shared<std::atomic<std::uint64_t>> opened;
  reap(spawn([&] {
    become_nobody();
    for (const std::string& path : paths)
      for (const int flags : {O_RDONLY, O_RDWR})
        if (open(path.c_str(), flags | O_CLOEXEC) >= 0) opened->fetch_add(1);
  }));
  return *opened;
}

struct Figures {
  std::uint64_t placed = 0, refused = 0, granted_wrongly = 0, refused_wrongly = 0, harmed = 0;
};

// One thing at `path`, one attempt beside it, and one when it is gone again.
void one(State& s, Figures& f, const Victim& victim, int thing, const std::string& path, const Store& store, bool foreign_file_will_do) {
  std::strncpy(s.path, path.c_str(), sizeof s.path - 1);
  s.thing = thing;
  const int turn = s.stage.fetch_add(1) + 1;
  while (s.stage == turn) nap(50us);
  if (s.placed) {
    ++f.placed;
    const Came came = attempt(store, "x");
    const bool may_be_granted = thing == nothing || (thing == plain && foreign_file_will_do);
    if (came == Came::refused) ++f.refused;
    if (may_be_granted ? came != Came::granted : came != Came::refused) {
      ++(may_be_granted ? f.refused_wrongly : f.granted_wrongly);
      fmt::print(stderr, "  {} at {}: {}\n", kNames[thing], path, came == Came::granted ? "granted" : came == Came::busy ? "busy" : "refused");
    }
  }
  const int his = s.stage.fetch_add(1) + 1;
  while (s.stage == his) nap(50us);
  f.harmed += !victim.unharmed();
}

// In a shared store, where he may make files: he locks, makes and replaces the file of a lock of ours as fast as he can.
void flip(State& s, const std::string& path, const std::string& victim, std::uint64_t seed) {
  become_nobody();
  Dice dice{seed};
  std::error_code ignored;
  while (!s.over) {
    if (place(static_cast<int>(dice.between(0, plain)), path, victim)) s.flips.fetch_add(1);
    if (dice.one_in(3)) {
      const int fd = open(path.c_str(), O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
      if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) nap(dice.time(0, 2000));
      close(fd);
    }
    if (dice.one_in(2)) nap(dice.time(0, 300));
    fs::remove_all(path, ignored);
  }
}

// Granted, refused by name, or told of the loss: nothing else may come of it, and no call may hang. Now and then we make room for him.
void work(State& s, const Store& store, const std::string& path, std::uint64_t seed) {
  const auto lock = store.lock("flipped");
  Dice dice{seed};
  while (!s.over) {
    if (dice.one_in(50)) {
      unlink(path.c_str());
      nap(dice.time(0, 200));
    }
    try {
      if (!lock->try_acquire_for(20ms)) {
        s.timeouts.fetch_add(1);
        continue;
      }
      s.grants.fetch_add(1);
      lock->release();
    } catch (const sherlock::LockLostException&) {
      s.losses.fetch_add(1);
    } catch (const sherlock::BackendException&) {
      s.refused.fetch_add(1);
      nap(100us);
    }
  }
}

}  // namespace

void neighbour_run(const Run& run, Report& report) {
  if (geteuid() != 0) return report.skip("only root can become others");
  const Shared<State> s;
  Dice dice{run.seed};
  Figures f;
  std::uint64_t failed = 0;
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds / 2 * 1e9);

  // Where the store is to be; in a shared one, where a lock and the companion are to be.
  {
    const Store probe{run.backend};
    const Victim victim{fs::path{probe.root()}.replace_filename(fmt::format("victim-{}", getpid()))};
    const pid_t him = spawn([&] { neighbour(*s, victim.path()); });
    while (now_ns() < end) {
      const Store store{run.backend};
      store.open_to_all();
      const int thing = static_cast<int>(dice.between(0, things - 1));
      one(*s, f, victim, thing, store.root(), store, false);
      if (!store.is_files()) continue;
      const Store shared{run.backend, "mode=0666"};
      shared.open_to_all();
      const std::string path = shared.path("x");
      one(*s, f, victim, thing, path, shared, true);
    }
    s->over = true;
    failed += !reap(him);
    f.harmed += !victim.unharmed();
  }

  if (run.backend == "file") {
    s->over = false;
    const Store shared{run.backend, "mode=0666"};
    shared.open_to_all();
    const std::string path = shared.path("flipped");
    const Victim victim{fs::path{shared.root()}.replace_filename("victim")};
    const pid_t him = spawn([&, seed = run.seed] { flip(*s, path, victim.path(), seed); });
    pid_t us[3];
    for (int i = 0; i < 3; ++i) us[i] = spawn([&, seed = run.seed + static_cast<std::uint64_t>(i)] { work(*s, shared, path, seed); });
    nap(nanoseconds{static_cast<std::int64_t>(run.seconds / 2 * 1e9)});
    s->over = true;
    failed += !reap(him);
    for (const pid_t pid : us) failed += !reap(pid);
    f.harmed += !victim.unharmed();
  }
  report.count("traps", f.placed);
  report.count("refusals", f.refused + s->refused);
  report.count("flips", s->flips);
  report.count("acquisitions", s->grants);
  report.count("losses told", s->losses);
  report.broken("granted wrongly", f.granted_wrongly);
  report.broken("refused wrongly", f.refused_wrongly);
  report.broken("victims harmed", f.harmed);
  report.broken("opened by a stranger", opened_by_nobody(run.backend));
  report.broken("failed workers", failed);
  report.broken("idle", f.refused == 0);
}

}  // namespace stress
