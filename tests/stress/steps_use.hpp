// SPDX-License-Identifier: MIT
// What the actors of all scenes do with locks.
#pragma once

#include <functional>
#include <string>

#include "backends/file/file_store.hpp"
#include "local/table.hpp"
#include "steps_scenes.hpp"

namespace stress {

// From a grant of "x" to its release, with everything that can be seen of a hold from outside. `asked`: since when a lease counts, which a busy machine may
// let end before its time.
void hold(const Ground& ground, sherlock::FileLock& lock, int who, const std::function<void()>& inside = nullptr, std::int64_t asked = 0);
// A release that must be no loss, unless it is of a lease that was asked for so long ago.
void let_go(const Ground& ground, sherlock::FileLock& lock, std::int64_t asked = 0);
// Whether the lock is on its way to or from somebody who lives, in the short section of a grant or a release.
bool in_the_short_section(const Ground& ground);
// Whether flock(2) keeps others out of the file. A descriptor of its own, as theirs.
bool excludes_foreigners(const std::string& path);
sherlock::local::Found entry_of(sherlock::file::FileStore& store, const char* name);

}  // namespace stress
