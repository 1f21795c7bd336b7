// SPDX-License-Identifier: MIT
#include "reference_store.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <stdexcept>
#include <system_error>

namespace reference {
namespace {

constexpr std::uint32_t kMembers = 512, kEntries = 512;
constexpr off_t kBigLock = 0, kFirstMember = 1;

[[noreturn]] void fail(const std::string& what) { throw std::system_error{errno, std::generic_category(), what}; }

struct flock byte(off_t at, short type) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = at;
  range.l_len = 1;
  return range;
}

// The first kind of lock that POSIX has belongs to the process: no child inherits it, and it is gone when the process is.
bool lock_byte(int fd, int command, off_t at, short type) {
  struct flock range = byte(at, type);
  int result = 0;
  do result = fcntl(fd, command, &range);
  while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EAGAIN && errno != EACCES) fail("fcntl");
  return result == 0;
}

bool others_have(int fd, off_t at) {
  struct flock range = byte(at, F_WRLCK);
  if (fcntl(fd, F_GETLK, &range) != 0) fail("fcntl");
  return range.l_type != F_UNLCK;
}

}  // namespace

struct Store::Content {
  std::uint32_t generation[kMembers];
  Entry entries[kEntries];
};

Store& Store::at(const std::string& directory, Presence presence) {
  struct Stores {
    pid_t process;
    std::mutex mutex;
    std::map<std::string, std::unique_ptr<Store>> open;
  };
  static Stores* stores = new Stores{getpid(), {}, {}};
  if (stores->process != getpid()) stores = new Stores{getpid(), {}, {}};  // a forked child is somebody else, and has one thread
  const std::lock_guard guard{stores->mutex};
  auto& store = stores->open[directory];
  if (!store) store.reset(new Store{directory, presence});
  return *store;
}

Store::Store(const std::string& directory, Presence presence) {
  const std::string path = directory + "/reference";
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | (presence == Presence::kept_by_exec ? 0 : O_CLOEXEC), 0600);
  if (fd_ < 0) fail("cannot open " + path);
  if (const int error = posix_fallocate(fd_, 0, sizeof(Content)); error != 0) {
    errno = error;
    const int failed = fd_;
    fd_ = -1;
    close(failed);
    fail("cannot make room in " + path);
  }
  void* const memory = mmap(nullptr, sizeof(Content), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (memory == MAP_FAILED) fail("cannot map " + path);
  content_ = static_cast<Content*>(memory);
  join(presence);
}

void Store::join(Presence presence) {
  // Nobody else of this process is here yet.
  lock_byte(fd_, F_SETLKW, kBigLock, F_WRLCK);
  const int command = presence == Presence::inherited_by_children ? F_OFD_SETLK : F_SETLK;
  for (std::uint32_t slot = 0; slot < kMembers; ++slot) {
    if (!lock_byte(fd_, command, kFirstMember + slot, F_WRLCK)) continue;
    me_ = {slot, ++content_->generation[slot], getpid()};
    break;
  }
  lock_byte(fd_, F_SETLK, kBigLock, F_UNLCK);
  if (me_.pid == 0) throw std::runtime_error{"too many members"};
}

Store::Inside::Inside(Store& store) : threads_{store.mutex_}, store_{store} { lock_byte(store_.fd_, F_SETLKW, kBigLock, F_WRLCK); }

Store::Inside::~Inside() { lock_byte(store_.fd_, F_SETLK, kBigLock, F_UNLCK); }

bool Store::alive(const Member& member) const {
  if (content_->generation[member.slot] != member.generation) return false;
  return member.slot == me_.slot || others_have(fd_, kFirstMember + static_cast<off_t>(member.slot));
}

Entry& Store::entry(const std::string& key) {
  const std::uint64_t wanted = std::hash<std::string>{}(key) | 1;
  for (Entry& entry : content_->entries) {
    if (entry.key == 0) entry.key = wanted;
    if (entry.key == wanted) return entry;
  }
  throw std::runtime_error{"too many locks"};
}

}  // namespace reference
