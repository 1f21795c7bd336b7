// SPDX-License-Identifier: MIT
// The table of locks: made where it is missing, looked at where it is not. Whatever else is in the database is somebody's, and is left alone.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "backends/sqlite/connection.hpp"

namespace sherlock::sqlite {

inline constexpr const char* kTable = "locks";  // in a database for locks only

struct Setting {
  bool dedicated;
  std::string table;
  std::int64_t epoch;          // of the companion
  const struct stat& file;     // the database
  std::uint64_t floor;         // no fence below
};

// On an open connection, by whoever passed the gate. Holds of another boot, or of another companion, are over from now on; so are all holds in a file that is
// new to its companion (a backup that was put in the place of the database). Throws Corrupt, a Failure (damaged) for what is not
// ours or of a newer version, and what connections throw.
void settle_schema(Connection& connection, const Setting& setting);

}  // namespace sherlock::sqlite
