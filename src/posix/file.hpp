// SPDX-License-Identifier: MIT
// Opening what others might have put in our way. Everything here throws std::system_error or Unsafe with a text that names the path.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <stdexcept>
#include <string>

#include "posix/unique_fd.hpp"

namespace sherlock::posix {

// A file or directory that others could tamper with, or that is not of the kind it should be.
class Unsafe : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A file system on which locks do not exclude, or not everybody.
class Unsupported : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline bool same_file(const struct stat& a, const struct stat& b) { return a.st_ino == b.st_ino && a.st_dev == b.st_dev; }

// Absolute form of a path, against the present working directory; "." and ".." stay for the kernel to resolve.
std::string absolute_path(const std::string& path);

enum class Missing { create, refuse };

// Opens a directory that is to hold a store; with Missing::create it is made with mode 0700 (or what lets `mode`'s users in). The last
// component must not be a symlink. Without `mode`: owned by us, writable by nobody else. With `mode`: as shared as the mode says, no more.
// Empty when it is missing and shall not be made.
UniqueFd open_store_directory(const std::string& path, std::optional<unsigned> mode, Missing missing);

// Throws Unsupported on network, FUSE and 9p file systems, by statfs magic.
void check_local(int fd, const std::string& path);

// Throws Unsafe unless the file is regular, has one link (none: just unlinked, which is not unsafe) and belongs to us, or, in a shared
// store, to anybody.
void check_lock_file(const struct stat& file, const std::string& path, bool shared);

// Whether `name` in the directory leads to that file, and no other name does, both at one moment. A file that was looked at through its descriptor alone may
// be somebody's data that had a second name, here, only while it was opened.
bool is_its_only_name(int directory, const char* name, const struct stat& file);

}  // namespace sherlock::posix
