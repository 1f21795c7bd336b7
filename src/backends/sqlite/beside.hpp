// SPDX-License-Identifier: MIT
// The files that SQLite keeps beside a database with a write-ahead log: the log and its index. They are found by their names, and thought to be nobody's by
// whoever sees no lock on them. Everything here is called by whoever passed the gate, but for inodes().
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "posix/descriptors.hpp"

namespace sherlock::sqlite {

class Beside {
 public:
  Beside(int directory, std::string database) : directory_{directory}, database_{std::move(database)} {}

  // Where there is no database: what is left of one that was removed.
  void remove_orphans() const;
  // Before a connection is opened, and after it if it made the log: nobody removes the log while we use it. Throws Busy.
  void guard();
  // So that a full disk keeps nobody from letting go.
  void reserve_room() const;
  // Of both together: another number when either was removed or replaced. 0 where there is none.
  std::uint64_t inodes() const;

 private:
  const int directory_;
  const std::string database_;
  posix::LockFd guard_;
};

}  // namespace sherlock::sqlite
