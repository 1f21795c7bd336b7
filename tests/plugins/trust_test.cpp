// SPDX-License-Identifier: MIT
// Files that somebody else could have put there, or could change, are refused before any code of them has run.
#include <atomic>
#include <fcntl.h>
#include <thread>

#include "catch.hpp"
#include "place.hpp"
#include "support/counters.hpp"
#include "support/says.hpp"

using plugins::Kind, plugins::kStranger, plugins::may_give_away, plugins::Place;
using support::says;

TEST_CASE("a plug-in in a directory of one's own is loaded when its backend is asked for", "[plugins]") {
  const Place place;
  place.put(Kind::good);
  const sherlock::Registry registry;
  CHECK(registry.find("good").library() == "std");
  CHECK(registry.names() == std::vector<std::string>{"good"});
  CHECK(place.marks() == "a");
}

TEST_CASE("a plug-in that others can write is refused", "[plugins][trust]") {
  const Place place;
  for (const mode_t mode : {0766, 0775, 0777, 04757}) {
    place.put(Kind::good, "libsherlock-good.so", mode);
    CHECK_THAT(Place::refusal(), says("refused: it can be written by others") && says("chmod go-w"));
  }
  CHECK(place.marks().empty());
}

TEST_CASE("a plug-in in a directory that others can write is refused, sticky or not", "[plugins][trust]") {
  const Place place;
  for (const mode_t mode : {0775, 0757, 0777, 01777}) {
    Place::look_in(place.make_directory("open", mode));
    place.put(Kind::good, "open/libsherlock-good.so");
    CHECK_THAT(Place::refusal(), says("/open can be written by others"));
  }
  CHECK(place.marks().empty());
}

TEST_CASE("a plug-in below a directory that others can write is refused, unless that is sticky", "[plugins][trust]") {
  const Place place;
  place.make_directory("open/between/plugins");
  Place::look_in(place / "open/between/plugins");
  place.put(Kind::good, "open/between/plugins/libsherlock-good.so");
  place.make_directory("open", 0777);
  CHECK_THAT(Place::refusal(), says("/open can be written by others (mode 0777)"));
  place.make_directory("open", 0775);
  CHECK_THAT(Place::refusal(), says("/open can be written by others (mode 0775)"));
  CHECK(place.marks().empty());

  place.make_directory("open", 01777);  // as /tmp: what is ours there stays where it is
  CHECK(Place::refusal().empty());
}

TEST_CASE("links on the way do not hide the directories that are really above a plug-in", "[plugins][trust]") {
  const Place place;
  place.make_directory("open/plugins");
  place.put(Kind::good, "open/plugins/libsherlock-good.so");
  std::filesystem::create_symlink(place / "open/plugins", place / "plugins");
  Place::look_in(place / "plugins");
  CHECK(Place::refusal().empty());
  place.make_directory("open", 0777);
  CHECK_THAT(Place::refusal(), says("/open can be written by others"));
  CHECK(place.marks() == "a");
}

TEST_CASE("a plug-in of somebody else, or in or below a directory of somebody else, is refused", "[plugins][trust]") {
  if (!may_give_away("a plug-in of somebody else is refused")) return;
  const Place place;
  const auto give = [](const std::string& path, uid_t to) { REQUIRE(::chown(path.c_str(), to, to) == 0); };
  place.make_directory("above/plugins");
  Place::look_in(place / "above/plugins");
  const std::string file = place.put(Kind::good, "above/plugins/libsherlock-good.so");
  for (const std::string& theirs : {file, place / "above/plugins", place / "above"}) {
    give(theirs, kStranger);
    CHECK_THAT(Place::refusal(), says("belongs to user 65534") && says("root"));
    give(theirs, 0);
  }
  CHECK(place.marks().empty());
  CHECK(Place::refusal().empty());
}

TEST_CASE("what is no regular file is refused", "[plugins][trust]") {
  const Place place;
  const std::string elsewhere = place.put(Kind::good, "elsewhere.so"), file = place / "libsherlock-good.so";
  SECTION("a symbolic link, also to a good plug-in") {
    std::filesystem::create_symlink(elsewhere, file);
    CHECK_THAT(Place::refusal(), says("is a symbolic link"));
  }
  SECTION("a symbolic link to nowhere") {
    std::filesystem::create_symlink(place / "nowhere", file);
    CHECK_THAT(Place::refusal(), says("is a symbolic link"));
  }
  SECTION("a pipe, which nobody waits for") {
    REQUIRE(::mkfifo(file.c_str(), 0644) == 0);
    CHECK_THAT(Place::refusal(), says("is not a regular file"));
  }
  SECTION("a directory") {
    place.make_directory("libsherlock-good.so");
    CHECK_THAT(Place::refusal(), says("is not a regular file"));
  }
  CHECK(place.marks().empty());
}

TEST_CASE("a name is never a path", "[plugins][trust]") {
  const Place place;
  place.make_directory("libsherlock-a");
  place.make_directory("plugins");
  place.put(Kind::good, "libsherlock-a/b.so");
  place.put(Kind::good, "libsherlock-A.so");
  place.put(Kind::good, "libsherlock-a.b.so");
  place.put(Kind::good, "libsherlock-.so");
  Place::look_in(place / "plugins" + ":" + place.path());
  for (const char* name : {"a/b", "A", "a.b", "", "../libsherlock-a/b", "../../../../../../../../../tmp/evil", "/etc/passwd"})
    CHECK_THAT(Place::refusal(name), says("there is no backend") && !says("refused") && !says("plug-in"));
  CHECK_THAT(Place::refusal(std::string(300, 'a')), says("no plug-in libsherlock-"));
  CHECK(place.marks().empty());
}

TEST_CASE("nothing is taken from the working directory, a relative path or LD_LIBRARY_PATH", "[plugins][trust]") {
  const Place place;
  place.put(Kind::good);
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(place.path());
  ::setenv("LD_LIBRARY_PATH", place.path().c_str(), 1);
  for (const char* path : {".", "", ":", "./", "..", "::.:"}) {
    Place::look_in(path);
    CHECK_THAT(Place::refusal(), says("no plug-in libsherlock-good.so"));
  }
  Place::look_in("here:/nowhere");
  CHECK_THAT(Place::refusal(), says("in /nowhere or /") && says("not in here, which is no absolute path"));
  ::unsetenv("LD_LIBRARY_PATH");
  std::filesystem::current_path(before);
  CHECK(place.marks().empty());
}

TEST_CASE("the first file of a name decides: one that is refused does not make room for another", "[plugins][trust]") {
  const Place place;
  place.make_directory("first");
  place.make_directory("second");
  place.put(Kind::good, "first/libsherlock-good.so", 0777);
  place.put(Kind::good, "second/libsherlock-good.so");
  Place::look_in(place / "nowhere" + ":" + place / "first" + ":" + place / "second");
  CHECK_THAT(Place::refusal(), says("/first/libsherlock-good.so is refused"));
  CHECK(place.marks().empty());
  std::filesystem::remove(place / "first/libsherlock-good.so");
  CHECK(Place::refusal().empty());
}

TEST_CASE("what is loaded is the file that was judged, however fast another takes its path", "[plugins][trust]") {
  const Place place;
  const std::string path = place.put(Kind::good), other = place.put(Kind::throws, "other.so", 0777);
  std::atomic<bool> stop{false};
  std::atomic<unsigned> flips{0};
  std::thread flipping{[&] {
    while (!stop)
      if (::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0) ++flips;
  }};
  unsigned taken = 0, refused = 0, unexpected = 0;
  while (flips < 10'000 || taken == 0 || refused == 0) {
    const std::string said = Place::refusal();
    if (said.empty())
      ++taken;
    else if (said.find("can be written by others") != std::string::npos)
      ++refused;
    else
      ++unexpected;
  }
  stop = true;
  flipping.join();
  INFO(taken << " taken, " << refused << " refused, in " << flips << " flips");
  CHECK(unexpected == 0);
  CHECK(place.marks() == "a");  // never the other; and the same file is one library
}

TEST_CASE("loading leaves no descriptor open, whether it succeeds or not", "[plugins][trust]") {
  const Place place;
  place.put(Kind::good);
  CHECK(Place::refusal().empty());
  const std::size_t before = support::open_descriptors();
  CHECK(Place::refusal().empty());
  CHECK(!Place::refusal("nowhere").empty());
  place.put(Kind::good, "libsherlock-good.so", 0777);
  CHECK(!Place::refusal().empty());
  place.put("no ELF");
  CHECK(!Place::refusal().empty());
  CHECK(support::open_descriptors() == before);
}
