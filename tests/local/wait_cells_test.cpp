// SPDX-License-Identifier: MIT
#include "local/wait_cells.hpp"

#include <vector>

#include "catch.hpp"
#include "playground.hpp"

using namespace sherlock::local;
using namespace playground;
using support::Child;
using support::Exit;
using support::Pipe;

TEST_CASE("waiters are counted by what they wait for, while they wait", "[wait_cells]") {
  const Playground ground;
  const auto companion = ground.open();
  WaitCells cells{*companion};
  CHECK(cells.count(0) == 0);
  CHECK(cells.count(7) == 0);
  WaitCell* const first = cells.take(7);
  WaitCell* const second = cells.take(7);
  WaitCell* const third = cells.take(0);
  REQUIRE((first && second && third));
  CHECK(first != second);
  CHECK(cells.count(7) == 2);
  CHECK(cells.count(0) == 1);
  CHECK(cells.count(6) == 0);
  CHECK(cells.count(8) == 0);
  WaitCells::give_back(first);
  CHECK(cells.count(7) == 1);
  WaitCells::give_back(second);
  WaitCells::give_back(third);
  CHECK(cells.count(7) == 0);
  CHECK(cells.count(0) == 0);
}

TEST_CASE("the last entry there can be is counted as the first is", "[wait_cells]") {
  const Playground ground;
  const auto companion = ground.open();
  WaitCells cells{*companion};
  const std::uint32_t last = Companion::number(kMaxSegments - 1, segment_shape(kMaxSegments - 1).entries - 1);
  WaitCell* const cell = cells.take(last);
  CHECK(cells.count(last) == 1);
  CHECK(cells.count(last - 1) == 0);
  WaitCells::give_back(cell);
}

TEST_CASE("the dead do not wait", "[wait_cells][process]") {
  const Playground ground;
  const auto companion = ground.open();
  const WaitCells cells{*companion};
  Pipe ready;
  Child waiter{[&] {
    const auto mine = ground.open();
    for (int i = 0; i < 3; ++i)
      if (!WaitCells{*mine}.take(5)) return 1;
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  CHECK(cells.count(5) == 3);
  waiter.kill();
  CHECK(cells.count(5) == 0);
}

TEST_CASE("when all cells are taken, one more waiter is not counted, until a cell is given back or its waiter is dead", "[wait_cells][process]") {
  const Playground ground;
  const auto companion = ground.open();
  WaitCells cells{*companion};
  Pipe ready;
  Child other{[&] {
    const auto mine = ground.open();
    if (!WaitCells{*mine}.take(1)) return 1;
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  std::vector<WaitCell*> taken;
  for (std::uint32_t i = 0; i + 1 < kSlots; ++i) taken.push_back(cells.take(2));
  CHECK(std::count(taken.begin(), taken.end(), nullptr) == 0);
  CHECK(cells.count(2) == kSlots - 1);
  CHECK(cells.take(3) == nullptr);
  WaitCells::give_back(taken[1000]);
  CHECK(cells.take(3) == taken[1000]);
  other.kill();
  CHECK(cells.take(4) != nullptr);
  CHECK(cells.count(4) == 1);
}
