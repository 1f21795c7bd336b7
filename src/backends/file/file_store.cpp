// SPDX-License-Identifier: MIT
#include "backends/file/file_store.hpp"

#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <tuple>
#include <utility>

#include "local/open_stores.hpp"

namespace sherlock::file {
namespace {

constexpr const char* kCompanion = ".sherlock";

using Stores = local::OpenStores<std::tuple<std::string, unsigned, bool>, FileStore>;

}  // namespace

std::string FileStore::directory_of(const FileClient& client) {
  // Neither an environment variable nor the session decides: two processes of a user must not silently use two stores.
  if (client.directory.empty()) return fmt::format("/tmp/sherlock-{}", geteuid());
  std::string path = posix::absolute_path(client.directory);
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::shared_ptr<FileStore> FileStore::open(const FileClient& client, posix::Missing missing) {
  const std::string path = directory_of(client);
  return Stores::find_or_open({path, client.mode.value_or(0), client.allow_remote}, [&]() -> std::shared_ptr<FileStore> {
    posix::UniqueFd directory = posix::open_store_directory(path, client.mode, missing);
    if (!directory) return nullptr;
    if (!client.allow_remote) posix::check_local(directory.get(), path);
    if (missing == posix::Missing::refuse) {
      struct stat companion;
      if (posix::sys_fstatat(directory.get(), kCompanion, &companion, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) return nullptr;
    }
    return std::shared_ptr<FileStore>{new FileStore{client, path, std::move(directory)}};
  });
}

FileStore::FileStore(const FileClient& client, std::string path, posix::UniqueFd directory)
    : client_{client}, path_{std::move(path)}, process_{posix::process_token()}, directory_{std::move(directory)},
      companion_{local::Companion::open({directory_.get(), kCompanion, path_ + "/" + kCompanion, client.mode})}, table_{*companion_} {
  // A shared flock keeps systemd's cleaner of temporary files away. Best effort: somebody may have it locked for his own ends.
  posix::sys_flock(directory_.get(), LOCK_SH | LOCK_NB);
  if (posix::sys_fstat(directory_.get(), &directory_stat_) != 0) posix::throw_errno("cannot look at " + path_);
  companion_stat_ = companion_->file_stat();
}

bool FileStore::current() const {
  // For good: where a stranger closed our descriptor, the one that we open next may have its number, and is none of this store's.
  if (absent_.load(std::memory_order_relaxed)) return false;
  if (!companion_->presence().intact()) {
    absent_.store(true, std::memory_order_relaxed);
    return false;
  }
  struct stat directory, companion;
  return posix::sys_fstatat(AT_FDCWD, path_.c_str(), &directory, AT_SYMLINK_NOFOLLOW) == 0 && posix::same_file(directory, directory_stat_) &&
         posix::sys_fstatat(directory_.get(), kCompanion, &companion, AT_SYMLINK_NOFOLLOW) == 0 && posix::same_file(companion, companion_stat_);
}

}  // namespace sherlock::file
