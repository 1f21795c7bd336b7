// SPDX-License-Identifier: MIT
// What this process has, to see that something leaves nothing behind.
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <string>

namespace support {

inline std::size_t entries(const std::string& directory) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{directory}, std::filesystem::directory_iterator{}));
}

// The one that the look itself needs is not counted.
inline std::size_t open_descriptors() { return entries("/proc/self/fd") - 1; }

inline bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

inline std::size_t threads() { return entries("/proc/self/task"); }

}  // namespace support
