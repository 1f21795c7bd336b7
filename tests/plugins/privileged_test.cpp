// SPDX-License-Identifier: MIT
// A program that was given more than its user has: setuid and setgid, as the file system of the test allows.
#include "catch.hpp"
#include "place.hpp"
#include "support/program.hpp"
#include "support/says.hpp"

using plugins::Kind, plugins::kStranger, plugins::may_give_away, plugins::Place;
using support::says;

namespace {

// tests/plugins/asker.cpp with the mode and the owner's group that it takes, started by nobody.
struct Asker {
  Asker(const Place& place, mode_t mode) : path{place / "asker"} {
    std::filesystem::remove(path);
    std::filesystem::copy_file(SHERLOCK_TEST_ASKER, path);
    REQUIRE(::chown(path.c_str(), 0, 0) == 0);
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const std::filesystem::path library{SHERLOCK_TEST_LIBRARY};
    std::filesystem::copy_file(library, place / library.filename().string(), std::filesystem::copy_options::overwrite_existing);
  }
  support::Finished ask(const std::string& what) const {
    // What the plug-in is linked to is found by this, where the program is not privileged; in the checkout it would not be where that is nobody else's to enter.
    return support::run({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", path, what},
                        {"LD_LIBRARY_PATH=" + std::filesystem::path{path}.parent_path().string()});
  }
  const std::string path;
};

// Whether a program is privileged at all when it is started so; not where it lies on a file system without, or nobody may gain privileges.
bool gains(const support::Finished& answer) {
  if (answer.out.find("privileged\n") == 0) return true;
  std::cout << "skipped: a privileged program: no program gains privileges here\n";
  return false;
}

}  // namespace

TEST_CASE("a privileged program does not follow SHERLOCK_PLUGIN_PATH", "[plugins][process]") {
  if (!may_give_away("a privileged program does not follow SHERLOCK_PLUGIN_PATH")) return;
  const Place place;
  ::chmod(place.path().c_str(), 0755);
  place.make_directory("marked", 0777);
  ::setenv("SHERLOCK_TEST_MARKER", (place / "marked/marks").c_str(), 1);
  place.put(Kind::good);

  const support::Finished plain = Asker{place, 0755}.ask("good");
  CHECK(plain.out == "as its user\nfound good\n");
  CHECK(std::filesystem::exists(place / "marked/marks"));
  std::filesystem::remove(place / "marked/marks");
  for (const mode_t mode : {04755, 02755}) {
    const support::Finished answer = Asker{place, mode}.ask("good");
    if (!gains(answer)) return;
    CHECK_THAT(answer.out, says("no plug-in libsherlock-good.so in /") && says("SHERLOCK_PLUGIN_PATH is not followed"));
    CHECK(answer.out.find(place.path()) == std::string::npos);
    CHECK(!std::filesystem::exists(place / "marked/marks"));
  }
}

TEST_CASE("a program with rights that its user does not have takes no plug-in of that user", "[plugins][process]") {
  if (!may_give_away("a program with rights that its user does not have")) return;
  const Place place;
  ::chmod(place.path().c_str(), 0755);
  place.make_directory("theirs");
  const std::string file = place.put(Kind::good, "theirs/libsherlock-good.so");
  for (const std::string& path : {file, place / "theirs"}) REQUIRE(::chown(path.c_str(), kStranger, kStranger) == 0);

  CHECK(Asker{place, 0755}.ask(file).out == "as its user\nfound good\n");
  for (const mode_t mode : {04755, 02755}) {
    const support::Finished answer = Asker{place, mode}.ask(file);
    if (!gains(answer)) return;
    CHECK_THAT(answer.out, says("refused") && says("belongs to user 65534"));
  }
}
