// SPDX-License-Identifier: MIT
#include "posix/trusted.hpp"

#include <fmt/format.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace sherlock::posix {
namespace {

struct stat look_at(int fd, const std::string& path) {
  struct stat found {};
  if (sys_fstat(fd, &found) != 0) throw_errno("cannot look at " + path);
  return found;
}

// Where the kernel says it is, for people: on the way up there is no path that somebody has given.
std::string path_of(int fd) {
  std::array<char, 4096> path{};
  const ssize_t length = readlink(fmt::format("/proc/self/fd/{}", fd).c_str(), path.data(), path.size());
  return length > 0 ? std::string{path.data(), static_cast<std::size_t>(length)} : "a directory above it";
}

void check_owner(const struct stat& file, const std::string& path) {
  const uid_t me = geteuid();
  // A program with more rights than its user, and yet under that user's id, has them from its group or as capabilities: then the user is
  // one of the others.
  const bool one_of_the_others = privileged() && getuid() == me;
  if (file.st_uid == 0 || (file.st_uid == me && !one_of_the_others)) return;
  throw Unsafe{fmt::format("{} belongs to user {}, who could put code of his own there; it has to belong to root{}", path, file.st_uid,
                           one_of_the_others ? "" : fmt::format(" or to us (user {})", me))};
}

void check_mode(const struct stat& file, const std::string& path, bool sticky_is_fine) {
  if ((file.st_mode & 0022) == 0 || (sticky_is_fine && (file.st_mode & S_ISVTX))) return;
  throw Unsafe{fmt::format("{} can be written by others (mode {:04o}), who could put code of their own there; chmod go-w it", path,
                           file.st_mode & 07777)};
}

// Upwards from the directory that is open, not along its path: so it is the real one, whatever links led there, and nobody is quicker.
void check_directory_and_above(int directory, const std::string& given) {
  UniqueFd above;
  std::string path = given;
  struct stat here = look_at(directory, path);
  for (int fd = directory;; fd = above.get()) {
    check_owner(here, path);
    check_mode(here, path, fd != directory);
    UniqueFd next{sys_openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!next) throw_errno("cannot look above " + path);
    const struct stat there = look_at(next.get(), path + "/..");
    if (there.st_dev == here.st_dev && there.st_ino == here.st_ino) return;  // the root
    above = std::move(next);
    here = there;
    path = path_of(above.get());
  }
}

}  // namespace

UniqueFd open_trusted(const std::string& directory, const std::string& name) {
  const UniqueFd dir{sys_openat(AT_FDCWD, directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!dir) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    throw_errno("cannot look into " + directory);
  }
  const std::string path = directory + '/' + name;
  struct stat file {};
  if (sys_fstatat(dir.get(), name.c_str(), &file, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT || errno == ENAMETOOLONG) return {};
    throw_errno("cannot look at " + path);
  }
  // Before the file is opened: to open what somebody else has put there may do things.
  check_directory_and_above(dir.get(), directory);
  UniqueFd opened{sys_openat(dir.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
  if (!opened) {
    if (errno == ELOOP) throw Unsafe{path + " is a symbolic link; put the file itself there"};
    throw_errno("cannot open " + path);
  }
  file = look_at(opened.get(), path);
  if (!S_ISREG(file.st_mode)) throw Unsafe{path + " is not a regular file; remove it"};
  check_owner(file, path);
  check_mode(file, path, false);
  return opened;
}

bool privileged() { return getauxval(AT_SECURE) != 0; }

}  // namespace sherlock::posix
