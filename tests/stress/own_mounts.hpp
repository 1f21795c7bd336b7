// SPDX-License-Identifier: MIT
// For a child of a run: a /tmp and a /dev/shm of its own, as small or as broken as it wants them, which nobody else sees.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "stress.hpp"

namespace stress {

inline constexpr const char* kOwnPlaces[] = {"/tmp", "/dev/shm"};

inline bool write_to(const char* file, const std::string& text) {
  const int fd = open(file, O_WRONLY | O_CLOEXEC);
  const bool done = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) close(fd);
  return done;
}

// Leaves these namespaces. Whoever may not may in a user namespace of his own, in which he stays who he is.
inline void leave(int namespaces, bool users_too) {
  const std::string user = std::to_string(geteuid()), group = std::to_string(getegid());
  if (unshare(namespaces | (users_too ? CLONE_NEWUSER : 0)) != 0) throw std::runtime_error{std::string{"unshare: "} + std::strerror(errno)};
  if (!users_too) return;
  write_to("/proc/self/setgroups", "deny");
  if (!write_to("/proc/self/uid_map", user + " " + user + " 1") || !write_to("/proc/self/gid_map", group + " " + group + " 1"))
    throw std::runtime_error{std::string{"the maps of a user namespace: "} + std::strerror(errno)};
}

// `options` as for mount(8)'s tmpfs.
inline void mount_own_places(const std::string& options) {
  leave(CLONE_NEWNS, geteuid() != 0);
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) throw std::runtime_error{std::string{"private mounts: "} + std::strerror(errno)};
  for (const char* place : kOwnPlaces)
    if (mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, ("mode=1777" + (options.empty() ? "" : "," + options)).c_str()) != 0)
      throw std::runtime_error{std::string{"mount: "} + std::strerror(errno)};
}
inline bool remount_own_places(const std::string& options, unsigned long flags = 0) {
  for (const char* place : kOwnPlaces)
    if (mount("tmpfs", place, "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV | flags, options.c_str()) != 0) return false;
  return true;
}

// Why this cannot be had here; empty where it can.
template <class Body>
std::string obstacle_to(Body body) {
  const Shared<char[256]> why;
  reap(spawn([&] {
    alarm(10);
    try {
      body();
    } catch (const std::exception& e) {
      std::strncpy(*why, e.what(), sizeof *why - 1);
    }
  }));
  return *why;
}

}  // namespace stress
