// SPDX-License-Identifier: MIT
// A forked child has its parent's connections, and must never send a byte on one: the server would take it for the parent's.
#pragma once

#include <cstdint>
#include <mutex>

namespace sherlock::addons {

// How many forks lie between this process and the one that loaded us: what was made under another number is the parent's.
std::uint64_t forks() noexcept;

// For the few lines in which the threads of a process share connections. No fork happens inside it, so a child finds it free.
std::mutex& shared() noexcept;

}  // namespace sherlock::addons
