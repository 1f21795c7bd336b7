// SPDX-License-Identifier: MIT
#include "backends/sqlite/remake.hpp"

#include <fmt/core.h>
#include <linux/fs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "local/layout.hpp"
#include "local/presence.hpp"
#include "local/steps.hpp"
#include "posix/syscall.hpp"

namespace sherlock::sqlite {
namespace {

constexpr int kMostDamaged = 1000;

// The byte that whoever opens a companion has for a moment. With it, nobody becomes present.
class Alone {
 public:
  explicit Alone(int fd) : fd_{fd}, alone_{lock(F_WRLCK)} {}
  ~Alone() {
    if (alone_) lock(F_UNLCK);
  }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;
  explicit operator bool() const { return alone_ && !local::Presence::anybody(fd_); }

 private:
  bool lock(short type) const {
    struct flock range = posix::byte_range(type, local::kInitByte, 1);
    return posix::sys_fcntl_lock(fd_, F_OFD_SETLK, &range) == 0;
  }

  const int fd_;
  const bool alone_;
};

// Whether it is under its new name now; one that is not there needs none.
bool rename_to(int directory, const std::string& from, const std::string& to) {
  if (posix::syscalls().renameat2(directory, from.c_str(), directory, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == ENOENT) return true;
  if (errno == EEXIST) return false;
  posix::throw_errno(fmt::format("cannot rename the damaged {}", from));
}

}  // namespace

void record_as_made(const struct stat& file, local::Companion& companion, int directory) {
  local::Header& header = companion.header();
  if (header.made_device.load() == file.st_dev && header.made_inode.load() == file.st_ino) return;
  header.made_device.store(0);
  header.made_inode.store(file.st_ino);
  header.made_device.store(file.st_dev);
  // Best effort: what is not on the disk is not believed, and the database not remade.
  ::fsync(companion.presence().descriptor());
  ::fsync(directory);
}

bool set_aside(const std::string& name, const struct stat& file, local::Companion& companion, const local::Table& table, int directory) {
  local::Header& header = companion.header();
  if (file.st_ino == 0 || header.made_inode.load() != file.st_ino || header.made_device.load() != file.st_dev) return false;
  const Alone alone{companion.presence().descriptor()};
  if (!alone) return false;
  // Fences that the waiters' entries have seen; the rows cannot be asked any more.
  std::uint64_t floor = header.floor.load();
  table.for_each([&](const local::Found& found) { floor = std::max(floor, found.entry->fence.load()); });
  header.floor.store(floor);
  for (int number = 1; number <= kMostDamaged; ++number) {
    const std::string aside = fmt::format("{}.damaged-{}", name, number);
    struct stat taken;
    if (posix::sys_fstatat(directory, aside.c_str(), &taken, AT_SYMLINK_NOFOLLOW) == 0) continue;
    // The log first: without it the database is what it was before, not something that never was. What becomes of a log whose
    // database is gone, SQLite would decide.
    if (!rename_to(directory, name + "-wal", aside + "-wal")) continue;
    SHERLOCK_STEP("sqlite: the log of a damaged database is set aside");
    posix::syscalls().unlinkat(directory, (name + "-shm").c_str(), 0);
    if (rename_to(directory, name, aside)) return true;
  }
  return false;
}

}  // namespace sherlock::sqlite
