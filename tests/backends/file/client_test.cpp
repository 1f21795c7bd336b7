// SPDX-License-Identifier: MIT
#include <sherlock/file_lock.hpp>

#include <unistd.h>

#include <string>
#include <string_view>

#include <sherlock/error.hpp>

#include "catch.hpp"
#include "support/says.hpp"

using sherlock::ConfigurationException;
using sherlock::FileClient;
using support::says;

TEST_CASE("a client is a directory, with options behind a question mark", "[file_client]") {
  const FileClient none;
  CHECK(none.directory.empty());
  CHECK_FALSE(none.mode);
  CHECK_FALSE(none.allow_remote);

  CHECK(FileClient{"/var/lib/shop"}.directory == "/var/lib/shop");
  CHECK(FileClient{std::string{"a b/c"}}.directory == "a b/c");
  CHECK(FileClient{std::string_view{""}}.directory.empty());
  CHECK(FileClient{"/x?"}.directory == "/x");

  const FileClient mode{"/x?mode=0660"};
  CHECK(mode.directory == "/x");
  CHECK(mode.mode == 0660u);
  CHECK_FALSE(mode.allow_remote);
  CHECK(FileClient{"/x?mode=660"}.mode == 0660u);
  CHECK(FileClient{"/x?mode=0666"}.mode == 0666u);
  CHECK(FileClient{"/x?mode=0600"}.mode == 0600u);
  CHECK(FileClient{"/x?remote=allow"}.allow_remote);
  for (const char* both : {"/x?remote=allow&mode=0660", "/x?mode=0660&remote=allow"}) {
    CHECK(FileClient{both}.allow_remote);
    CHECK(FileClient{both}.mode == 0660u);
  }
  CHECK(FileClient{"?mode=0660"}.directory.empty());
}

TEST_CASE("a client that makes no sense is refused, with what is wrong in it and what would be right", "[file_client]") {
  for (const char* nonsense : {"/x?mode=", "/x?mode=8", "/x?mode=0x1b0", "/x?mode=rw", "/x?mode=-660", "/x?mode=+660", "/x?mode= 660", "/x?mode=0660 ",
                               "/x?mode=01660", "/x?mode=77777777777777777777", "/x?mode=0060", "/x?mode=0440", "/x?mode=0770", "/x?mode=0661",
                               "/x?remote", "/x?remote=", "/x?remote=yes", "/x?nonsense", "/x?MODE=0660", "/x?mode=0660&what", "/x??", "/x?a?b",
                               "/x?mode=0660;remote=allow"}) {
    CAPTURE(nonsense);
    CHECK_THROWS_WITH(FileClient{nonsense}, says(nonsense) && says("?mode=0660") && says("?remote=allow"));
    CHECK_THROWS_AS(FileClient{nonsense}, ConfigurationException);
  }
  CHECK_THROWS_AS(FileClient(std::string_view{"/x\0y", 4}), ConfigurationException);
}

TEST_CASE("a client's text is checked, the store is not touched", "[file_client]") {
  CHECK(sherlock::FileLock::connect("/no/such/directory?mode=0660").mode == 0660u);
}
