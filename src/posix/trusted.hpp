// SPDX-License-Identifier: MIT
// Files that this process is about to trust as it trusts itself, because they hold code.
#pragma once

#include <string>

#include "posix/file.hpp"
#include "posix/unique_fd.hpp"

namespace sherlock::posix {

// Opens for reading a regular file `name` (no symbolic link) of a directory. The file, the directory, and every directory above that one
// have to belong to root or to us and must not be writable by others; a directory further above may be, if it is sticky as /tmp is. So
// nobody else can have put there what is opened, and nobody can put something in its place. Empty: there is no such file. Unsafe with the
// reason and the way out; std::system_error for what the system refuses.
UniqueFd open_trusted(const std::string& directory, const std::string& name);

// Whether the program was given more than its user has, by setuid, setgid or file capabilities: then no environment variable may lead it.
bool privileged();

}  // namespace sherlock::posix
