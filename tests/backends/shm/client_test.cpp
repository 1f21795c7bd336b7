// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <climits>
#include <filesystem>
#include <string>
#include <string_view>

#include <sherlock/error.hpp>
#include <sherlock/shm_lock.hpp>

#include "catch.hpp"
#include "ground.hpp"
#include "support/says.hpp"

using sherlock::ConfigurationException;
using sherlock::ShmClient;
using support::says;

TEST_CASE("a client is the name of a segment, with or without the slash, with a mode behind a question mark", "[shm_client]") {
  const ShmClient none;
  CHECK(none.segment.empty());
  CHECK_FALSE(none.mode);

  CHECK(ShmClient{"shop"}.segment == "shop");
  CHECK(ShmClient{"/shop"}.segment == "shop");
  CHECK(ShmClient{std::string{"a b"}}.segment == "a b");
  CHECK(ShmClient{std::string_view{""}}.segment.empty());
  CHECK(ShmClient{"..."}.segment == "...");
  CHECK(ShmClient{std::string(NAME_MAX, 'n')}.segment.size() == NAME_MAX);
  CHECK_FALSE(ShmClient{"/shop"}.mode);

  const ShmClient mode{"/shop?mode=0660"};
  CHECK(mode.segment == "shop");
  CHECK(mode.mode == 0660u);
  CHECK(ShmClient{"x?mode=660"}.mode == 0660u);
  CHECK(ShmClient{"x?mode=0666"}.mode == 0666u);
  CHECK(ShmClient{"x?mode=0600"}.mode == 0600u);
  CHECK(ShmClient{"?mode=0660"}.segment.empty());
}

TEST_CASE("a client that makes no sense is refused, with what is wrong in it and what would be right", "[shm_client]") {
  for (const char* nonsense : {"/", "//x", "/a/b", "a/b", "x/", "../x", ".", "..", "/.", "/..", "x?", "x?mode=", "x?mode=8", "x?mode=0x1b0", "x?mode=rw",
                               "x?mode=-660", "x?mode=+660", "x?mode= 660", "x?mode=0660 ", "x?mode=01660", "x?mode=77777777777777777777", "x?mode=0060",
                               "x?mode=0440", "x?mode=0770", "x?mode=0661", "x?mode", "x?nonsense", "x?MODE=0660", "x?mode=0660&what", "x??", "x?a?b",
                               "/?mode=0660"}) {
    CAPTURE(nonsense);
    CHECK_THROWS_WITH(ShmClient{nonsense}, says(nonsense) && says("?mode=0660") && says("name of a segment"));
    CHECK_THROWS_AS(ShmClient{nonsense}, ConfigurationException);
  }
  CHECK_THROWS_AS(ShmClient(std::string_view{"x\0y", 3}), ConfigurationException);
  CHECK_THROWS_WITH(ShmClient{std::string(NAME_MAX + 1, 'n')}, says("256") && says("255"));
}

TEST_CASE("a client's text is checked, no segment is made", "[shm_client]") {
  const ground::Ground ground;
  CHECK(sherlock::ShmLock::connect(ground.segment + "?mode=0660").mode == 0660u);
  CHECK_FALSE(std::filesystem::exists(ground.path));
}

TEST_CASE("a lock tells its segment as shm_open(3) takes it; the default one is the same for every process of a user", "[shm_client]") {
  const ground::Ground ground;
  CHECK(ground.lock().segment() == "/" + ground.segment);
  CHECK(sherlock::ShmLock("x", {}, "/" + ground.segment).segment() == "/" + ground.segment);
  CHECK(sherlock::ShmLock("x").segment() == "/sherlock-" + std::to_string(::geteuid()));
}

TEST_CASE("both spellings of a segment are one store", "[shm_client]") {
  const ground::Ground ground;
  sherlock::ShmLock plain{"x", {}, ground.segment}, slash{"x", {}, "/" + ground.segment}, mode{"x", {}, ground.segment + "?mode=0600"};
  CHECK(plain.try_acquire());
  CHECK_FALSE(slash.try_acquire());
  CHECK_FALSE(mode.try_acquire());
  plain.release();
  CHECK(mode.try_acquire());
  CHECK_FALSE(plain.try_acquire());
}
