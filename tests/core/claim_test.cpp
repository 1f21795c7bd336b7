// SPDX-License-Identifier: MIT
#include <sherlock/claim.hpp>

#include <chrono>

#include "catch.hpp"
#include "support/fake_clock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::FakeClock;

namespace {

Claim claim_with(Duration patience = 1s, std::chrono::nanoseconds deadline = {}) {
  return {{"key", "name", "ns", "label"}, Owner{1, 2}, Duration{30s}, Attempt::once, 7, patience, deadline};
}

}  // namespace

TEST_CASE("an owner is written in 32 digits", "[claim]") {
  CHECK((Owner{0x1, 0xabc}).text() == "00000000000000010000000000000abc");
  CHECK((Owner{~0ull, ~0ull}).text() == "ffffffffffffffffffffffffffffffff");
  CHECK(Owner{1, 2} == Owner{1, 2});
  CHECK(Owner{1, 2} != Owner{2, 1});
}

TEST_CASE("a claim asks for the time when it is asked, once, and the boot-time clock", "[claim]") {
  FakeClock clock;
  const Claim claim = claim_with();
  CHECK(clock.reads() == 0);
  const auto now = claim.now();
  clock.suspend(5s);
  CHECK(claim.now() == now);
  CHECK(clock.reads() == 1);
  CHECK(claim.refresh_now() == now + 5s);
  CHECK(claim.now() == now + 5s);
  CHECK(clock.boottime() == now + 5s);
}

TEST_CASE("the time for an answer counts from when it is first asked for", "[claim]") {
  FakeClock clock;
  const Claim claim = claim_with(1s);
  clock.advance(10s);
  const auto by = claim.answer_by();
  CHECK(by == clock.monotonic() + 1s);
  clock.advance(10s);
  CHECK(claim.answer_by() == by);
}

TEST_CASE("the time for an answer never ends before the waiter's deadline", "[claim]") {
  const FakeClock clock;
  const auto start = clock.monotonic();
  CHECK(claim_with(1s, start + 5s).answer_by() == start + 5s);
  CHECK(claim_with(1s, start - 5s).answer_by() == start + 1s);
  CHECK(claim_with(forever).answer_by() == std::chrono::nanoseconds::max());
}
