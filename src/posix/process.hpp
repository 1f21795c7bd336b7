// SPDX-License-Identifier: MIT
// What distinguishes this process, this boot and this namespace from others.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

namespace sherlock::posix {

namespace detail {
extern std::atomic<std::uint64_t>* token_page;
std::uint64_t draw_token();
}  // namespace detail

// A random number that a forked child does not share, never 0 and never all ones. One load: the kernel wipes its page in the child of a fork, of a
// raw clone and of _Fork alike (MADV_WIPEONFORK, Linux 4.14), where getpid() would be a system call and pids come again.
inline std::uint64_t process_token() {
  if (const std::uint64_t token = detail::token_page->load(std::memory_order_relaxed)) [[likely]]
    return token;
  return detail::draw_token();
}

// The same where it is drawn already, else 0 (in a child of a fork): no call, so that a short function stays short.
inline std::uint64_t process_token_if_drawn() { return detail::token_page->load(std::memory_order_relaxed); }

// In a forked child: what belongs to the parent and cannot be destroyed here (its mutexes may be locked for ever). Kept in sight of
// leak checkers.
void leave_to_parent(const void* object);

using BootId = std::array<std::uint8_t, 16>;
// Throws std::system_error.
BootId boot_id();

// Inode of /proc/self/ns/<kind> ("time", "pid"); 0 where the kernel has no such namespace.
std::uint64_t namespace_id(const char* kind);

// Short facts for people.
std::string program_name();
std::string host_name();

}  // namespace sherlock::posix
