// SPDX-License-Identifier: MIT
#include "posix/file.hpp"

#include <fmt/core.h>
#include <linux/magic.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace sherlock::posix {
namespace {

struct Magic {
  unsigned long number;
  const char* name;
};

// statfs(2); those that Debian 12's linux/magic.h lacks by number.
constexpr std::array kRemote{
    Magic{NFS_SUPER_MAGIC, "NFS"},     Magic{SMB_SUPER_MAGIC, "SMB"},      Magic{0xFF534D42, "CIFS"},     Magic{0xFE534D42, "SMB2"},
    Magic{0x65735546, "FUSE"},         Magic{V9FS_MAGIC, "9p"},            Magic{0x00C36400, "Ceph"},     Magic{AFS_SUPER_MAGIC, "AFS"},
    Magic{0x6B414653, "kAFS"},         Magic{0x0BD00BD0, "Lustre"},        Magic{0x01161970, "GFS2"},     Magic{0x7461636F, "OCFS2"},
    Magic{CODA_SUPER_MAGIC, "Coda"},   Magic{0x786F4256, "vboxsf"},        Magic{0x19830326, "FhGFS"},    Magic{0x47504653, "GPFS"},
    Magic{0x564C, "NCP"},
};

// Who besides the owner may make files in a directory whose files have `mode`: those who may write the files.
mode_t directory_mode(std::optional<unsigned> mode) {
  if (!mode) return 0700;
  return 0700 | (*mode & 0020 ? 0070 : 0) | (*mode & 0002 ? 01007 : 0);
}

void check_directory(const struct stat& dir, const std::string& path, std::optional<unsigned> mode) {
  if (!S_ISDIR(dir.st_mode)) throw Unsafe{fmt::format("{} is not a directory; remove it or name another one", path)};
  const uid_t me = geteuid();
  const mode_t open_to = dir.st_mode & 0022 & ~directory_mode(mode);
  if (dir.st_uid != me && !(mode && dir.st_uid == 0) && !(mode && (dir.st_mode & 0020)))
    throw Unsafe{fmt::format("{} belongs to user {}, not to us (user {}); name another directory, or share one with ?mode=", path,
                             dir.st_uid, me)};
  if (open_to != 0)
    throw Unsafe{fmt::format("{} can be written by others (mode {:04o}); chmod go-w it, or share it on purpose with ?mode=", path,
                             dir.st_mode & 07777)};
  if (mode && (dir.st_mode & 0002) && !(dir.st_mode & S_ISVTX))
    throw Unsafe{fmt::format("{} can be written by everybody and has no sticky bit: anybody could remove its lock files; chmod +t it", path)};
}

}  // namespace

std::string absolute_path(const std::string& path) {
  if (!path.empty() && path.front() == '/') return path;
  std::array<char, 4096> here{};
  if (!getcwd(here.data(), here.size())) throw_errno("cannot tell the working directory, for the relative path " + path);
  return fmt::format("{}/{}", here.data(), path);
}

UniqueFd open_store_directory(const std::string& given, std::optional<unsigned> mode, Missing missing) {
  // A slash at the end would let the kernel follow a symbolic link.
  std::string path = given;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  bool made = false;
  for (int round = 0;; ++round) {
    UniqueFd dir{sys_openat(AT_FDCWD, path.c_str(), kFlags)};
    if (dir && dir.get() < 3) {  // a program without stdio must not print into it
      dir = UniqueFd{::fcntl(dir.get(), F_DUPFD_CLOEXEC, 3)};
      if (!dir) throw_errno("cannot open the directory " + path);
    }
    if (dir) {
      // mkdir's mode passed through the umask; what the store's users need is set on what we made ourselves, only.
      if (made && mode && syscalls().fchmod(dir.get(), directory_mode(mode)) != 0) throw_errno("cannot set the mode of " + path);
      struct stat st;
      if (sys_fstat(dir.get(), &st) != 0) throw_errno("cannot look at " + path);
      check_directory(st, path, mode);
      return dir;
    }
    // O_NOFOLLOW with O_DIRECTORY: a symlink is ENOTDIR (or ELOOP).
    if (errno == ENOTDIR || errno == ELOOP) {
      struct stat st;
      if (sys_fstatat(AT_FDCWD, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        throw Unsafe{fmt::format("{} is a symbolic link; name the directory itself", path)};
      throw Unsafe{fmt::format("{} is not a directory; remove it or name another one", path)};
    }
    if (errno != ENOENT) throw_errno("cannot open the directory " + path);
    if (missing == Missing::refuse) return {};
    if (syscalls().mkdir(path.c_str(), 0700) == 0)
      made = true;
    else if (errno != EEXIST || round > 8)
      throw_errno("cannot make the directory " + path);
  }
}

void check_local(int fd, const std::string& path) {
  struct statfs fs;
  if (sys_fstatfs(fd, &fs) != 0) throw_errno("cannot tell the file system of " + path);
  for (const Magic& remote : kRemote)
    if ((static_cast<unsigned long>(fs.f_type) & 0xFFFFFFFFul) == remote.number)
      throw Unsupported{fmt::format("{} is on {}, where locks need not exclude everybody; name a directory on a local disk, or take the risk with "
                                    "?remote=allow", path, remote.name)};
}

void check_lock_file(const struct stat& file, const std::string& path, bool shared) {
  if (!S_ISREG(file.st_mode)) throw Unsafe{fmt::format("{} is not a regular file; name another place, or remove it", path)};
  if (file.st_nlink > 1)
    throw Unsafe{fmt::format("{} has {} hard links, so it may be somebody's data under another name; name another place, or remove it", path,
                             file.st_nlink)};
  if (!shared && file.st_uid != geteuid())
    throw Unsafe{fmt::format("{} belongs to user {}, not to us (user {}); name another place, share one with ?mode=, or remove it", path,
                             file.st_uid, geteuid())};
}

bool is_its_only_name(int directory, const char* name, const struct stat& file) {
  struct stat now;
  return sys_fstatat(directory, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == file.st_ino && now.st_dev == file.st_dev && now.st_nlink == 1;
}

}  // namespace sherlock::posix
