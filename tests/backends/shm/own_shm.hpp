// SPDX-License-Identifier: MIT
// A /dev/shm of a child's own, as small or as broken as a test wants it; in a mount namespace, so that nobody else sees it.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "ground.hpp"

namespace ground {

inline constexpr int kNotAllowed = 77;  // exit code of a child that could not make itself one

namespace detail {

inline bool write_to(const char* file, const std::string& text) {
  const posix::UniqueFd fd{::open(file, O_WRONLY | O_CLOEXEC)};
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Whoever may not make a mount namespace may in a user namespace of his own, in which he stays who he is.
inline bool leave_the_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) {
    const std::string user = std::to_string(::geteuid()), group = std::to_string(::getegid());
    if (::unshare(CLONE_NEWNS | CLONE_NEWUSER) != 0) return false;
    write_to("/proc/self/setgroups", "deny");
    if (!write_to("/proc/self/uid_map", user + " " + user + " 1") || !write_to("/proc/self/gid_map", group + " " + group + " 1")) return false;
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

}  // namespace detail

// In a child only. `options` as for mount(8)'s tmpfs.
inline bool mount_own_shm(const std::string& options) {
  return detail::leave_the_mounts() && ::mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, ("mode=1777," + options).c_str()) == 0;
}
inline bool remount_own_shm_read_only() { return ::mount("tmpfs", "/dev/shm", "tmpfs", MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) == 0; }

// Runs `body` in a child with such a /dev/shm; what it finds wrong is its exit code. Skipped, aloud, where that is not allowed.
template <class Body>
void in_own_shm(const std::string& options, Body body) {
  Child child{[&] { return mount_own_shm(options) ? body() : kNotAllowed; }};
  const Exit exit = child.wait();
  if (exit.code == kNotAllowed) return skip("no permission to mount a /dev/shm");
  CHECK(exit == Exit{0, 0});
}

}  // namespace ground
