// SPDX-License-Identifier: MIT
// What SQLite says when it does not do what it was asked.
#pragma once

#include <string>

#include "core/failure.hpp"

namespace sherlock::sqlite {

// Somebody who does not pass our gate (sqlite3(1), the application itself) has the database locked: to be tried again.
struct Busy {
  int code;
};

// The file that is open is not the one at the path any more.
struct Moved {};

// The file cannot be read as a database. One of our own making may be remade.
class Corrupt : public detail::Failure {
 public:
  using Failure::Failure;
};

// There is no room on the disk for what was to be written.
class Full : public detail::Failure {
 public:
  using Failure::Failure;
};

// Throws what an (extended) result code means: one of these, or a detail::Failure. `system` is the errno behind it, 0 where there is none.
[[noreturn]] void throw_code(int code, const std::string& text, const std::string& path, int system = 0);

// "database is locked (SQLITE_BUSY 5)"
std::string describe(int code);

}  // namespace sherlock::sqlite
