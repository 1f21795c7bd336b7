// SPDX-License-Identifier: MIT
#include "store.hpp"

#include <dirent.h>
#include <fmt/core.h>

#include <cstring>
#include <filesystem>

namespace stress {
namespace {

namespace fs = std::filesystem;

constexpr char kSegments[] = "/dev/shm";

template <class Visit>
void for_each_in(const std::string& directory, Visit visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir{opendir(directory.c_str()), closedir};
  while (const dirent* entry = dir ? readdir(dir.get()) : nullptr)
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) visit(std::string{entry->d_name});
}

// A segment is found by its name alone, which two runs must not share.
std::string place_of(const std::string& backend, const support::TempDir& directory) {
  if (backend == "file") return directory / "store";
  if (backend == "shm") return fs::path{directory.path()}.filename().string();
  return directory / "locks.db";
}

}  // namespace

Store::Store(std::string_view backend, std::string_view options)
    : backend_{sherlock::registry().find(backend)}, place_{place_of(backend_.name(), directory_)},
      options_{options.empty() ? std::string{} : fmt::format("?{}", options)} {}

Store::~Store() {
  if (getpid() != maker_ || backend_.name() != "shm") return;
  std::error_code ignored;
  for_each_in(kSegments, [&](const std::string& name) {
    if (name.starts_with(place_)) fs::remove(fs::path{kSegments} / name, ignored);
  });
}

std::unique_ptr<sherlock::BaseLock> Store::lock(std::string name, sherlock::Options options) const {
  return backend_.make(std::move(name), std::move(options), client());
}

std::string Store::companion() const {
  if (backend_.name() == "file") return place_ + "/.sherlock";
  if (backend_.name() == "shm") return fmt::format("{}/{}", kSegments, place_);
  return place_ + "-sherlock";
}

void Store::open_to_all() const { fs::permissions(directory_.path(), fs::perms{01777}); }

std::string Store::path(const std::string& name) const {
  if (is_files()) return fmt::format("{}/{}.lock", place_, lock(name)->key());
  return backend_.name() == "shm" ? companion() : place_;
}

std::string Store::held_by() const { return is_files() ? ".lock" : fs::path{companion()}.filename().string(); }

int Store::debris(int names) const {
  int found = 0;
  if (is_files()) {
    for_each_in(place_, [&](const std::string& name) { found += name != ".sherlock"; });
    return found - names;
  }
  // Beside a database lie its log and its index, while it is open and after a crash.
  const std::string own = fs::path{place_}.filename().string();
  for_each_in(backend_.name() == "shm" ? kSegments : directory_.path(), [&](const std::string& name) {
    if (!name.starts_with(own)) return;
    const std::string_view rest = std::string_view{name}.substr(own.size());
    found += !rest.empty() && (backend_.name() == "shm" || (rest != "-wal" && rest != "-shm" && rest != "-sherlock"));
  });
  return found;
}

int descriptors(const std::string& ending) {
  int found = 0;
  for_each_in("/proc/self/fd", [&](const std::string& name) {
    char target[4096];
    const ssize_t size = readlink(("/proc/self/fd/" + name).c_str(), target, sizeof target);
    if (size > 0 && std::string_view{target, static_cast<std::size_t>(size)}.ends_with(ending)) ++found;
  });
  return found;
}

}  // namespace stress
