// SPDX-License-Identifier: MIT
#include "backends/shm/shm_store.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <tuple>

#include "core/failure.hpp"
#include "local/open_stores.hpp"

namespace sherlock::shm {
namespace {

// Where the C library's shm_open(3) keeps segments. Opened as what they are, files of a tmpfs: only so can a segment be published when it is complete,
// and its descriptor be known to fork's handler from the first moment.
constexpr const char* kDirectory = "/dev/shm";

using Stores = local::OpenStores<std::tuple<std::string, unsigned>, ShmStore>;

posix::UniqueFd open_directory() {
  posix::UniqueFd directory{posix::sys_openat(AT_FDCWD, kDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory) return directory;
  if (errno == ENOENT || errno == ENOTDIR)
    throw detail::Failure{Errc::unavailable, "there is no /dev/shm on this system: mount a tmpfs there, or use the backend `file`",
                          {errno, std::generic_category()}};
  posix::throw_errno("cannot open /dev/shm");
}

}  // namespace

std::string ShmStore::segment_of(const ShmClient& client) {
  // Neither an environment variable nor the session decides: two processes of a user must not silently use two stores.
  return client.segment.empty() ? fmt::format("sherlock-{}", geteuid()) : client.segment;
}

std::shared_ptr<ShmStore> ShmStore::open(const ShmClient& client, posix::Missing missing) {
  const std::string segment = segment_of(client);
  return Stores::find_or_open({segment, client.mode.value_or(0)}, [&]() -> std::shared_ptr<ShmStore> {
    posix::UniqueFd directory = open_directory();
    if (missing == posix::Missing::refuse) {
      struct stat present;
      if (posix::sys_fstatat(directory.get(), segment.c_str(), &present, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) return nullptr;
    }
    return std::shared_ptr<ShmStore>{new ShmStore{segment, client, directory.get()}};
  });
}

ShmStore::ShmStore(const std::string& segment, const ShmClient& client, int directory)
    : companion_{local::Companion::open({directory, segment.c_str(), fmt::format("{}/{}", kDirectory, segment), client.mode})},
      table_{*companion_} {}

bool ShmStore::current() {
  if (gone_.load(std::memory_order_relaxed)) return false;
  if (!look_.due()) return true;
  struct stat now;
  const struct stat& ours = companion_->file_stat();
  if (posix::sys_fstatat(AT_FDCWD, companion_->path().c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == ours.st_ino &&
      now.st_dev == ours.st_dev && companion_->presence().intact())
    return true;
  // For good: where a stranger closed our descriptor, the one that we open next has its number, and is none of this store's. Also for who asks next.
  gone_.store(true, std::memory_order_relaxed);
  look_.make_due();
  return false;
}

}  // namespace sherlock::shm
