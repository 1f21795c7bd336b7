// SPDX-License-Identifier: MIT
#include <sherlock/duration.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>

#include "catch.hpp"

using namespace std::chrono_literals;
using sherlock::Duration;
using std::chrono::duration;
using std::chrono::nanoseconds;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr auto kMax = nanoseconds::max();

using Picoseconds = duration<std::int64_t, std::pico>;
using Centuries = duration<std::int64_t, std::ratio<3'155'760'000>>;
template <class Rep>
using SecondsIn = duration<Rep>;

}  // namespace

static_assert(Duration{} == Duration{0s} && sherlock::never == sherlock::forever, "usable at compile time");
static_assert(Duration{250ms}.ns() == 250ms && !Duration{250ms}.is_infinite());
static_assert(Duration{SecondsIn<double>{1e10}}.is_infinite() && Duration{std::chrono::hours::max()}.is_infinite());

TEST_CASE("a duration that fits is kept to the nanosecond", "[duration]") {
  CHECK(Duration{1ns}.ns() == 1ns);
  CHECK(Duration{10s}.ns() == 10s);
  CHECK(Duration{24h * 365 * 100}.ns() == 24h * 365 * 100);
  CHECK(Duration{std::chrono::years{290}}.ns() == std::chrono::years{290});
  CHECK(Duration{123456789012345678ns}.ns() == 123456789012345678ns);
  CHECK(Duration{SecondsIn<std::uint8_t>{255}}.ns() == 255s);
  CHECK(Duration{SecondsIn<std::uint64_t>{5}}.ns() == 5s);
  CHECK(Duration{SecondsIn<short>{-3}}.ns() == -3s);
  CHECK(Duration{kMax - 1s}.ns() == kMax - 1s);
  CHECK(Duration{-(kMax - 1s)}.ns() == -(kMax - 1s));
}

TEST_CASE("parts of nanoseconds are cut off, as duration_cast does", "[duration]") {
  CHECK(Duration{Picoseconds{1999}}.ns() == 1ns);
  CHECK(Duration{Picoseconds{-1999}}.ns() == -1ns);
  CHECK(Duration{Picoseconds{std::numeric_limits<std::int64_t>::max()}}.ns() == 9223372036854775ns);
  CHECK(Duration{duration<double, std::nano>{1.9}}.ns() == 1ns);
}

TEST_CASE("floating durations are taken", "[duration]") {
  CHECK(Duration{SecondsIn<double>{0.25}}.ns() == 250ms);
  CHECK(Duration{SecondsIn<float>{0.5f}}.ns() == 500ms);
  CHECK(Duration{SecondsIn<long double>{1.5L}}.ns() == 1500ms);
  CHECK(Duration{SecondsIn<double>{-0.25}}.ns() == -250ms);
  CHECK(Duration{duration<double, std::ratio<3600>>{0.5}}.ns() == 30min);
  CHECK(Duration{SecondsIn<double>{-0.0}} == Duration{0s});
  CHECK(Duration{SecondsIn<double>{std::numeric_limits<double>::denorm_min()}}.ns() == 0ns);
}

TEST_CASE("what is too long is without end, whatever the type", "[duration]") {
  CHECK(Duration{SecondsIn<double>{1e10}}.is_infinite());
  CHECK(Duration{SecondsIn<double>{std::numeric_limits<double>::max()}}.is_infinite());
  CHECK(Duration{SecondsIn<float>{std::numeric_limits<float>::max()}}.is_infinite());
  CHECK(Duration{SecondsIn<long double>{std::numeric_limits<long double>::max()}}.is_infinite());
  CHECK(Duration{std::chrono::hours::max()}.is_infinite());
  CHECK(Duration{std::chrono::seconds::max()}.is_infinite());
  CHECK(Duration{std::chrono::milliseconds::max()}.is_infinite());
  CHECK(Duration{nanoseconds::max()}.is_infinite());
  CHECK(Duration{std::chrono::years{293}}.is_infinite());
  CHECK(Duration{Centuries{3}}.is_infinite());
  CHECK(Duration{Centuries{std::numeric_limits<std::int64_t>::max()}}.is_infinite());
  CHECK(Duration{SecondsIn<std::uint64_t>{std::numeric_limits<std::uint64_t>::max()}}.is_infinite());
  CHECK(Duration{duration<std::uint64_t, std::nano>{std::numeric_limits<std::uint64_t>::max()}}.is_infinite());
  CHECK(Duration{duration<std::uint64_t, std::nano>{1ull << 63}}.is_infinite());
}

TEST_CASE("what is too short stays negative, and is neither without end nor no number", "[duration]") {
  for (const Duration given : {Duration{std::chrono::seconds::min()}, Duration{nanoseconds::min()}, Duration{SecondsIn<double>{-1e10}},
                               Duration{Centuries{-4}}, Duration{std::chrono::hours::min()}}) {
    CHECK(given.is_negative());
    CHECK_FALSE(given.is_nan());
    CHECK_FALSE(given.is_infinite());
  }
}

TEST_CASE("infinite durations are without end, minus infinity is negative", "[duration]") {
  CHECK(Duration{SecondsIn<double>{kInfinity}} == sherlock::never);
  CHECK(Duration{SecondsIn<float>{std::numeric_limits<float>::infinity()}} == sherlock::never);
  CHECK(Duration{duration<long double, std::pico>{std::numeric_limits<long double>::infinity()}} == sherlock::never);
  CHECK(sherlock::never.ns() == kMax);
  CHECK(Duration{SecondsIn<double>{-kInfinity}}.is_negative());
  CHECK_FALSE(Duration{SecondsIn<double>{-kInfinity}}.is_nan());
}

TEST_CASE("no number is kept as no number", "[duration]") {
  for (const Duration given : {Duration{SecondsIn<double>{kNan}}, Duration{SecondsIn<float>{std::numeric_limits<float>::quiet_NaN()}},
                               Duration{duration<double, std::nano>{-kNan}}}) {
    CHECK(given.is_nan());
    CHECK_FALSE(given.is_negative());
    CHECK_FALSE(given.is_infinite());
    CHECK(given.ns() == nanoseconds::min());
  }
}

TEST_CASE("an instant plus a duration never wraps", "[duration]") {
  CHECK(Duration{5s}.after(1s) == 6s);
  CHECK(Duration{-5s}.after(1s) == -4s);
  CHECK(Duration{5s}.after(-1s) == 4s);
  CHECK(sherlock::never.after(1s) == kMax);
  CHECK(sherlock::never.after(-1s) == kMax);
  CHECK(sherlock::never.after(0s) == kMax);
  CHECK(Duration{kMax - 1s}.after(1s) == kMax);
  CHECK(Duration{kMax - 1s}.after(2s) == kMax);
  CHECK(Duration{kMax - 1s}.after(-2s) == kMax - 3s);
  CHECK(Duration{-1s}.after(nanoseconds::min() + 1s) == nanoseconds::min());
}

TEST_CASE("the time between two instants never wraps, and is nothing when the second is not later", "[duration]") {
  CHECK(Duration::between(1s, 3s) == Duration{2s});
  CHECK(Duration::between(-1s, 3s) == Duration{4s});
  CHECK(Duration::between(3s, 1s) == Duration{0s});
  CHECK(Duration::between(3s, 3s) == Duration{0s});
  CHECK(Duration::between(1s, nanoseconds::min()) == Duration{0s});
  CHECK(Duration::between(nanoseconds::min() + 1s, 1s).is_infinite());
  CHECK(Duration::between(nanoseconds::min() + 1s, nanoseconds::min() + 2s) == Duration{1s});
  CHECK(Duration::between(1s, nanoseconds::max()).is_infinite());
  CHECK(Duration::between(1s, SecondsIn<double>{kNan}) == Duration{0s});
}

TEST_CASE("a duration is written for people", "[duration]") {
  CHECK(Duration{0s}.text() == "0s");
  CHECK(Duration{1ns}.text() == "1ns");
  CHECK(Duration{1500ns}.text() == "1.5us");
  CHECK(Duration{250ms}.text() == "250ms");
  CHECK(Duration{10s}.text() == "10s");
  CHECK(Duration{2500ms}.text() == "2.5s");
  CHECK(Duration{60s}.text() == "1m");
  CHECK(Duration{65s}.text() == "1m5s");
  CHECK(Duration{1h}.text() == "1h");
  CHECK(Duration{1h + 5min}.text() == "1h5m");
  CHECK(Duration{1h + 5min + 7s}.text() == "1h5m");
  CHECK(Duration{24h * 12 + 3h}.text() == "12d3h");
  CHECK(Duration{24h * 365}.text() == "365d");
  CHECK(Duration{-10s}.text() == "-10s");
  CHECK(sherlock::never.text() == "never");
  CHECK(Duration{SecondsIn<double>{kNan}}.text() == "nan");
  CHECK(Duration{SecondsIn<double>{1e10}}.text() == "never");
}
