// SPDX-License-Identifier: MIT
// One process of ours at a time is inside the database: for a statement, and for the checkpoint that may follow it. A word of the companion, with the
// waiting, the order and the recovery after a death that lock words have. SQLite's own way of waiting sleeps blindly and starves (its busy handler let one
// process of two through 1,038 times and the other once), and the libraries from 3.7.0 to 3.51.2 can corrupt a database when one process resets the
// log while another commits: among us that cannot be.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include "local/companion.hpp"
#include "local/table.hpp"

namespace sherlock::sqlite {

class WriteGate {
 public:
  // Throws as enter().
  WriteGate(local::Companion& companion, local::Table& table, std::chrono::nanoseconds answer_by);

  // Leaves the gate when it goes.
  class Pass {
   public:
    Pass(WriteGate& gate, std::uint64_t mine) : gate_{gate}, mine_{mine} {}
    ~Pass();
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    WriteGate& gate_;
    const std::uint64_t mine_;
  };

  // Throws a Failure (busy) when it has not been passed by `answer_by()`, which is asked only where there is a wait.
  template <class AnswerBy>
  Pass enter(AnswerBy answer_by) {
    const std::uint64_t mine = try_enter();
    return {*this, mine != 0 ? mine : wait_to_enter(answer_by())};
  }

 private:
  std::uint64_t try_enter();
  std::uint64_t wait_to_enter(std::chrono::nanoseconds answer_by);
  void pin(std::chrono::nanoseconds answer_by);

  local::Companion& companion_;
  local::Table& table_;
  local::Found found_;
};

}  // namespace sherlock::sqlite
