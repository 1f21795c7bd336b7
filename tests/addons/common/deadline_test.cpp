// SPDX-License-Identifier: MIT
#include "addons/common/deadline.hpp"

#include "catch.hpp"
#include "support/fake_clock.hpp"

using namespace sherlock::addons;
using namespace std::chrono_literals;
using sherlock::Claim, sherlock::Duration;

TEST_CASE("a server keeps a lease for longer than its holder believes in it, by a tenth of the whole") {
  for (const auto lease : {100ms, 300ms, 1000ms, 60000ms, 500000ms}) {
    const auto kept = kept_by_server(lease);
    CHECK((kept - lease) * 10 >= kept);
    CHECK(kept <= lease + lease / 8 + 10ms);
  }
  CHECK(kept_by_server(1ns) == 11ms);
  CHECK(kept_by_server(24h) == 24h + 1min);
}

TEST_CASE("a deadline is told in milliseconds, rounded up") {
  support::FakeClock clock;
  const Deadline deadline = Deadline::in(1500us);
  CHECK(deadline.wait_ms() == 2);
  clock.advance(1400us);
  CHECK(deadline.wait_ms() == 1);
  CHECK(!deadline.passed());
  clock.advance(100us);
  CHECK(deadline.wait_ms() == 0);
  CHECK(deadline.passed());
  clock.advance(1h);
  CHECK(deadline.wait_ms() == 0);
  CHECK(Deadline{std::chrono::nanoseconds::max()}.wait_ms() == 3600000);
}

TEST_CASE("a renewal has its answer before the lease ends, or does not wait for it") {
  support::FakeClock clock;
  const auto claim = [&](Duration expire) { return Claim{{"key", "name", "", ""}, {}, expire, sherlock::Attempt::once, 1, 10s}; };
  LeaseEnd end;
  end.note(claim(3s));
  CHECK(end.renewal(claim(3s)).left() == 3s);
  clock.advance(1s);
  CHECK(end.renewal(claim(3s)).left() == 2s);
  clock.suspend(1s);
  CHECK(end.renewal(claim(3s)).left() == 1s);
  clock.advance(5s);
  CHECK(end.renewal(claim(3s)).passed());
  end.note(claim(1min));
  CHECK(end.renewal(claim(1min)).left() == 10s);
  end.note(claim(sherlock::never));
  CHECK(end.renewal(claim(sherlock::never)).left() == 10s);
}
