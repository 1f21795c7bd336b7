// SPDX-License-Identifier: MIT
// Who waits for which entry, so that people can be told how many. A waiter has a cell while it waits; a dead waiter's cell is free.
#pragma once

#include <cstdint>
#include <vector>

#include "local/companion.hpp"
#include "local/word.hpp"

namespace sherlock::local {

class WaitCells {
 public:
  explicit WaitCells(Companion& companion) : companion_{companion} {}

  // The cell taken, or null when none is free: then the waiter is not counted, nothing else.
  WaitCell* take(std::uint32_t entry_number);
  static void give_back(WaitCell* cell) { cell->store(0); }

  // How many wait for it, as far as they are alive.
  std::uint64_t count(std::uint32_t entry_number) const;

 private:
  static std::uint64_t pack(Identity who, std::uint32_t entry_number) {
    return std::uint64_t{entry_number + 1} << 31 | who.packed();
  }
  static Identity owner(std::uint64_t cell) { return Identity::unpack(static_cast<std::uint32_t>(cell & 0x7fffffff)); }

  Companion& companion_;
};

}  // namespace sherlock::local
