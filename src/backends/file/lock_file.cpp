// SPDX-License-Identifier: MIT
#include "backends/file/lock_file.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <ctime>

#include <sherlock/clock.hpp>

#include "core/failure.hpp"
#include "local/parking.hpp"
#include "local/steps.hpp"
#include "posix/file.hpp"

namespace sherlock::file {
namespace {

using local::Identity;

// O_NONBLOCK: a FIFO in the way must not stop us. No O_TRUNC, no O_CREAT at first: sticky directories refuse that for other users' files.
constexpr int kOpenFlags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

std::string path_of(const FileStore& store, const std::string& name) { return store.path() + "/" + name; }

// flock(2), with errno sorted: 0 done, EWOULDBLOCK somebody has it. The rest is no answer and is thrown.
bool try_flock(int fd, int operation, const std::string& path) {
  if (posix::sys_flock(fd, operation | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  posix::throw_errno("cannot lock " + path + " with flock(2)");
}

// How long somebody's look is waited for. A look is over in no time, but whoever looks may have lost its processor in the middle.
constexpr std::chrono::milliseconds kPatienceWithLooks{500};

void let_others_run(int round) {
  if (round < 16) {
    sched_yield();
    return;
  }
  const timespec nap{0, 50'000};
  nanosleep(&nap, nullptr);
}

// In a shared store the file must have its mode before anybody else can open it.
bool create_with_mode(const FileStore& store, const std::string& name, unsigned mode) {
  const posix::UniqueFd made{posix::sys_openat(store.directory(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
  if (!made) posix::throw_errno("cannot make " + path_of(store, name));
  if (posix::syscalls().fchmod(made.get(), mode) != 0) posix::throw_errno("cannot set the mode of " + path_of(store, name));
  return posix::syscalls().linkat(AT_FDCWD, fmt::format("/proc/self/fd/{}", made.get()).c_str(), store.directory(), name.c_str(),
                                  AT_SYMLINK_FOLLOW) == 0;
}

// The words of entry.probe: count 32 | who 32.
bool probed(std::uint64_t probe) { return static_cast<std::uint32_t>(probe) != 0; }
Identity prober(std::uint64_t probe) { return Identity::unpack(static_cast<std::uint32_t>(probe)); }
std::uint64_t next_probe(std::uint64_t before, Identity who) { return ((before >> 32) + 1) << 32 | who.packed(); }
std::uint64_t probe_over(std::uint64_t probe) { return probe & ~0xffffffffull; }

}  // namespace

bool LockFile::open(const FileStore& store) {
  if (file_) return true;
  const auto kept = keep();
  path_ = path_of(store, name_);
  for (int round = 0; round < 100; ++round) {
    file_ = posix::LockFd::open(store.directory(), name_.c_str(), kOpenFlags);
    if (!file_ && errno == ENOENT) {
      if (const auto mode = store.client().mode) {
        if (create_with_mode(store, name_, *mode) || errno == EEXIST) continue;
      } else {
        file_ = posix::LockFd::open(store.directory(), name_.c_str(), kOpenFlags | O_CREAT | O_EXCL, 0600);
        if (!file_ && errno == EEXIST) continue;
      }
      if (!file_ && errno == ENOENT) return false;
    }
    if (!file_) {
      if (errno == ELOOP) throw posix::Unsafe{path_of(store, name_) + " is a symbolic link; remove it"};
      if (errno == EISDIR || errno == ENXIO) throw posix::Unsafe{path_of(store, name_) + " is not a regular file; remove it"};
      posix::throw_errno("cannot open " + path_of(store, name_));
    }
    try {
      posix::check_lock_file(file_.opened(), path_of(store, name_), store.client().mode.has_value());
    } catch (...) {
      file_.reset();
      throw;
    }
    if (posix::is_its_only_name(store.directory(), name_.c_str(), file_.opened())) return true;
    file_.reset();  // removed or replaced between its opening and our look, or never a file of its own: the next round tells
  }
  throw sherlock::detail::Failure{Errc::busy, path_of(store, name_) + " is being removed again and again"};
}

bool LockFile::lock_exclusive(local::Entry& entry, const local::Presence& presence) {
  std::chrono::nanoseconds give_up{};
  for (int round = 0;; ++round) {
    std::uint64_t before = entry.probe.load();
    SHERLOCK_STEP("try: looks are read");
    if (try_flock(file_.get(), LOCK_EX, path_)) return true;
    SHERLOCK_STEP("try: refused");
    std::uint64_t after = entry.probe.load();
    if (before == after && !probed(before)) return false;  // nobody looked while we tried
    // Refused, but perhaps by somebody's look. Looks are over in no time; a dead one's is wiped away, a stopped one's is waited for a little.
    const std::chrono::nanoseconds now = clock().monotonic();
    if (give_up.count() == 0) give_up = now + kPatienceWithLooks;
    if (now >= give_up) return false;
    if (probed(after) && !presence.alive(prober(after)))
      entry.probe.compare_exchange_strong(after, probe_over(after));
    else if (probed(after))
      let_others_run(round);
  }
}

bool LockFile::lock_shared() { return try_flock(file_.get(), LOCK_SH, path_); }

bool LockFile::unlock() {
  if (!file_) return false;
  if (posix::sys_flock(file_.get(), LOCK_UN) == 0) return true;
  if (errno == EBADF) return false;
  posix::throw_errno("cannot unlock " + path_ + " with flock(2)");
}

bool LockFile::linked() {
  struct stat now;
  if (!file_ || posix::sys_fstat(file_.get(), &now) != 0) return false;
  stamp_.store(std::int64_t{now.st_mtim.tv_sec} * 1'000'000'000 + now.st_mtim.tv_nsec, std::memory_order_relaxed);
  return now.st_nlink != 0 && now.st_ino == file_.opened().st_ino && now.st_dev == file_.opened().st_dev;
}

void LockFile::set_stamp(std::int64_t nanoseconds) {
  const timespec times[2] = {{0, UTIME_OMIT}, {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000}};
  // Best effort: without it (another user's file, a file system of coarse times) every grant looks at the companion's path instead.
  if (posix::syscalls().futimens(file_.get(), times) == 0)
    stamp_.store(nanoseconds, std::memory_order_relaxed);
  else  // whoever may write another user's file may set its time to now: no companion's, so that those who still use an older one look as well
    posix::syscalls().futimens(file_.get(), nullptr);
}

bool LockFile::at_path(const FileStore& store) const {
  struct stat now;
  return posix::sys_fstatat(AT_FDCWD, path_of(store, name_).c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 &&
         now.st_ino == file_.opened().st_ino && now.st_dev == file_.opened().st_dev;
}

bool LockFile::anybody_has(const FileStore& store, const std::string& name, local::Entry* entry, const local::Presence& presence) {
  // An open file of its own: on the holder's, an unlock would be the holder's.
  const posix::LockFd file = posix::LockFd::open(store.directory(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!file) {
    if (errno == ENOENT) return false;
    posix::throw_errno("cannot open " + path_of(store, name));
  }
  SHERLOCK_STEP("look: the file is open");
  std::uint64_t mine = 0;
  if (entry) {
    const std::chrono::nanoseconds give_up = clock().monotonic() + kPatienceWithLooks;
    for (int round = 0;; ++round) {
      std::uint64_t before = entry->probe.load();
      if (!probed(before) || !presence.alive(prober(before))) {
        mine = next_probe(before, presence.me());
        if (entry->probe.compare_exchange_strong(before, mine)) break;
      } else if (clock().monotonic() >= give_up) {
        return true;  // another one's look does not end; not announced, ours could make somebody's try fail. When in doubt: held
      } else {
        let_others_run(round);
      }
    }
  }
  struct Over {
    local::Entry* entry;
    std::uint64_t mine;
    ~Over() {
      if (entry) entry->probe.compare_exchange_strong(mine, probe_over(mine));
      SHERLOCK_STEP("look: over");
    }
  } over{entry, mine};
  SHERLOCK_STEP("look: announced");
  // Exclusively, as a try would, for a foreigner may have it shared. Beside a straggler a try would be content with a shared lock.
  if (!try_flock(file.get(), entry && local::stragglers::any(*entry) ? LOCK_SH : LOCK_EX, path_of(store, name))) return true;
  SHERLOCK_STEP("look: the file is locked");
  posix::sys_flock(file.get(), LOCK_UN);
  SHERLOCK_STEP("look: the file is unlocked");
  return false;
}

}  // namespace sherlock::file
