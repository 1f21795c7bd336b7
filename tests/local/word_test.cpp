// SPDX-License-Identifier: MIT
#include "local/word.hpp"

#include "catch.hpp"

using namespace sherlock::local;

TEST_CASE("a gate word gives back what was put into it", "[word]") {
  for (const GateState state : {GateState::free, GateState::acquiring, GateState::held, GateState::reserved, GateState::foreign})
    for (const Identity who : {Identity{}, Identity{1, 1}, Identity{4095, 0}, Identity{0, (1u << 18) - 1}, Identity{4095, (1u << 18) - 1}})
      for (const std::uint32_t tag : {0u, 1u, 0x5555555u, (1u << 27) - 1}) {
        const std::uint64_t word = gate::make(state, who, tag);
        CHECK(gate::state(word) == state);
        CHECK(Identity::of(word) == who);
        CHECK(gate::tag(word) == tag);
        CHECK(gate::flags(word) == 0);
        CHECK(gate::core(word | gate::kFlags) == word);
        CHECK(gate::flags(word | gate::kQueue | gate::kAsleep) == (gate::kQueue | gate::kAsleep));
        CHECK(gate::state(word | gate::kFlags) == state);
        CHECK(Identity::of(word | gate::kFlags) == who);
        CHECK(gate::tag(word | gate::kFlags) == tag);
      }
}

TEST_CASE("what is too large for its place in a gate word does not spill into another", "[word]") {
  const std::uint64_t word = gate::make(GateState::held, {0xffffffff, 0xffffffff}, 0xffffffff);
  CHECK(gate::state(word) == GateState::held);
  CHECK(gate::flags(word) == 0);
  CHECK(gate::slot(word) == 4095);
  CHECK(gate::generation(word) == (1u << 18) - 1);
  CHECK(gate::tag(word) == (1u << 27) - 1);
}

TEST_CASE("a change of state leaves the rest of a gate word alone", "[word]") {
  const std::uint64_t word = gate::make(GateState::acquiring, {77, 99}, 1234) | gate::kHeir | gate::kQueue;
  for (const GateState state : {GateState::free, GateState::held, GateState::reserved, GateState::foreign, GateState::acquiring}) {
    const std::uint64_t changed = gate::with(word, state);
    CHECK(gate::state(changed) == state);
    CHECK(gate::with(changed, GateState::acquiring) == word);
  }
}

TEST_CASE("taking a gate word makes it the taker's, with a tag that it never had before", "[word]") {
  const Identity me{12, 34};
  const std::uint64_t taken = gate::taken_by(me, gate::make(GateState::free, {}, 7));
  CHECK(gate::state(taken) == GateState::acquiring);
  CHECK(Identity::of(taken) == me);
  CHECK(gate::tag(taken) == 8);
  CHECK(gate::flags(taken) == 0);
  CHECK(gate::tag(gate::taken_by(me, gate::make(GateState::free, {}, (1u << 27) - 1))) == 0);
}

TEST_CASE("an identity fits into 31 bits, of which one is always set", "[word]") {
  for (const Identity who : {Identity{}, Identity{1, 0}, Identity{0, 1}, Identity{4095, (1u << 18) - 1}}) {
    CHECK(who.packed() != 0);
    CHECK(who.packed() >> 31 == 0);
    CHECK(Identity::unpack(who.packed()) == who);
  }
}
