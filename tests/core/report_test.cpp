// SPDX-License-Identifier: MIT
#include "core/report.hpp"

#include <string>

#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::Holder;
using sherlock::detail::describe;
using sherlock::detail::printable;
using support::says;

namespace {

const std::chrono::system_clock::time_point kNow = std::chrono::sys_days{std::chrono::year{2026} / 11 / 23} + 10h + 5min + 12s;

}  // namespace

TEST_CASE("bytes that a terminal takes for commands are shown, not sent", "[report]") {
  CHECK(printable("plain text, 100% of it") == "plain text, 100% of it");
  CHECK(printable("") == "");
  CHECK(printable("\x1b[31mred") == "\\x1b[31mred");
  CHECK(printable("a\nb\tc\rd\x7f") == "a\\nb\\tc\\x0dd\\x7f");
  CHECK(printable(std::string_view{"a\0b", 3}) == "a\\x00b");
  CHECK(printable("\x9bm") == "\\x9bm");           // a control sequence in eight bits
  CHECK(printable("\xc2\x9bm") == "\\xc2\\x9bm");  // the same, in UTF-8
}

TEST_CASE("text in UTF-8 is shown as it is", "[report]") {
  for (const char* text : {"Café", "Überprüfung", "Ärger", "夜間バックアップ", "ночной", "☃", "💾"}) CHECK(printable(text) == text);
}

TEST_CASE("a holder is described by what the store knows of it", "[report]") {
  CHECK_THAT(
      describe({.pid = 4242, .uid = 1000, .host = "web1", .program = "backup.sh", .label = "full dump", .since = kNow - 3min - 12s}, kNow),
      says("backup.sh") && says("pid 4242") && says("uid 1000") && says("web1") && says("full dump") && says("2026-11-23T10:02:00Z") &&
          says("3m12s"));
  CHECK(describe({.pid = 7, .program = "cp"}, kNow) == "cp (pid 7)");
  CHECK_THAT(describe({.pid = 7}, kNow), says("pid 7"));
  CHECK_THAT(describe({}, kNow), says("another program"));
}

TEST_CASE("a label that says no more than the program's name is not said twice", "[report]") {
  CHECK(describe({.pid = 7, .program = "cp", .label = "cp"}, kNow) == "cp (pid 7)");
}

TEST_CASE("a holder from the future, by a clock that was set back, has held for no time", "[report]") {
  const std::string text = describe({.program = "cp", .since = kNow + 1h}, kNow);
  CHECK_THAT(text, says("2026-11-23T11:05:12Z"));
  CHECK(text.find("for") == std::string::npos);
}

TEST_CASE("what a holder calls itself cannot move the cursor", "[report]") {
  const std::string text = describe({.host = "h\x1b", .program = "p\x1b", .label = "l\x1b"}, kNow);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("since is said without parts of seconds, and of instants before 1970 too", "[report]") {
  CHECK_THAT(describe({.since = kNow + 999ms}, kNow + 10s), says("2026-11-23T10:05:12Z"));
  CHECK_THAT(describe({.since = std::chrono::system_clock::time_point{} - 1s}, kNow), says("1969-12-31T23:59:59Z"));
}
