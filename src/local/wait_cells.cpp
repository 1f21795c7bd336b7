// SPDX-License-Identifier: MIT
#include "local/wait_cells.hpp"

#include "local/steps.hpp"

namespace sherlock::local {

WaitCell* WaitCells::take(std::uint32_t entry_number) {
  const Identity me = companion_.presence().me();
  WaitCell* cells = companion_.wait_cells();
  // Two rounds: a probe for the dead costs a system call a cell, and is seldom needed.
  for (const bool ask_the_dead : {false, true})
    for (std::uint32_t i = 0; i < kSlots; ++i) {
      WaitCell& cell = cells[(me.slot * 61 + i) % kSlots];
      std::uint64_t present = cell.load();
      if (present != 0 && (!ask_the_dead || companion_.presence().alive(owner(present)))) continue;
      if (!cell.compare_exchange_strong(present, pack(me, entry_number))) continue;
      SHERLOCK_STEP("wait: counted");
      return &cell;
    }
  return nullptr;
}

std::uint64_t WaitCells::count(std::uint32_t entry_number) const {
  std::uint64_t waiting = 0;
  const WaitCell* cells = companion_.wait_cells();
  for (std::uint32_t i = 0; i < kSlots; ++i) {
    const std::uint64_t cell = cells[i].load();
    if (cell >> 31 == std::uint64_t{entry_number} + 1 && companion_.presence().alive(owner(cell))) ++waiting;
  }
  return waiting;
}

}  // namespace sherlock::local
