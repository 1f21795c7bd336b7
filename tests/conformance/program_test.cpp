// SPDX-License-Identifier: MIT
// sherlock-conform, as an author of a backend meets it.
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support/program.hpp"
#include "support/says.hpp"
#include "support/temp_dir.hpp"

using support::Finished, support::says;

namespace {

Finished conform(std::vector<std::string> words, const char* program = SHERLOCK_TEST_PEER) {
  words.insert(words.begin(), program);
  return support::run(std::move(words));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) lines.push_back(text.substr(at, end - at));
  return lines;
}

}  // namespace

TEST_CASE("docs/contract.md lists the clauses of sherlock-conform --list", "[conformance][program]") {
  std::ifstream page{SHERLOCK_TEST_CONTRACT};
  std::vector<std::string> published;
  for (std::string line; std::getline(page, line);)
    if (!line.empty() && line[0] >= '0' && line[0] <= '9' && line.find(". ") < 4) published.push_back(line);
  const Finished listed = conform({"--list"}, SHERLOCK_TEST_CONFORM);
  CHECK(listed.code == 0);
  CHECK(published == lines_of(listed.out));
}

TEST_CASE("a line for each clause tells how it was, and the last one counts", "[conformance][program]") {
  const support::TempDir directory;
  const Finished kept = conform({"--backend", "file", "--client", directory.path(), "--clause", "1", "--clause", "36"}, SHERLOCK_TEST_CONFORM);
  CHECK(kept.code == 0);
  CHECK(kept.err.empty());
  const auto lines = lines_of(kept.out);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "kept             1. of two claims one is granted");
  CHECK(lines[1] == "kept            36. names that differ in case are two locks");
  CHECK_THAT(lines[2], says("2 clauses on file: 2 kept, 0 broken, 0 not applicable, in "));

  const Finished broken = conform({"--backend=mutant-1-grants-every-try", "-C", directory.path(), "--clause", "1", "--clause", "40"});
  CHECK(broken.code == 1);
  CHECK_THAT(broken.out, says("broken           1. of two claims one is granted: somebody else was granted a lock that is held\n"));
  CHECK_THAT(broken.out, says(" 1 kept, 1 broken, "));

  const Finished memory = conform({"--backend", "memory", "--clause", "29", "--clause", "36"});
  CHECK(memory.code == 0);
  CHECK_THAT(memory.out, says("not applicable  29. a killed holder's lock comes free: scope = process\n"));
}

TEST_CASE("programs are told the same as one object", "[conformance][program]") {
  const Finished judged = conform({"--backend", "memory", "--clause", "29", "--clause", "36", "--json"});
  CHECK(judged.code == 0);
  CHECK(judged.out ==
        R"({"version":1,"backend":"memory","clauses":[{"number":29,"group":"death","name":"a killed holder's lock comes free",)"
        R"("outcome":"not applicable","why":"scope = process"},{"number":36,"group":"names","name":"names that differ in case are two locks",)"
        R"("outcome":"kept","why":null}],"kept":1,"broken":0,"not_applicable":1})"
        "\n");
  CHECK(conform({"--list", "--json", "--clause", "31"}).out ==
        R"({"version":1,"clauses":[{"number":31,"group":"death","name":"a stopped holder without expiry keeps the lock",)"
        R"("needs":["never = true","scope = host or network"]}]})"
        "\n");
}

TEST_CASE("a command line that makes no sense is exit status 64", "[conformance][program]") {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{{{}, "--backend is missing"},
                                                                           {{"--backend"}, "--backend wants a value"},
                                                                           {{"--backend", "file", "--clause", "48"}, "there is no clause 48"},
                                                                           {{"--backend", "file", "--clause", "1x"}, "there is no clause 1x"},
                                                                           {{"--backend", "file", "--clause", "x"}, "'x' is no number"},
                                                                           {{"--backend", "file", "--lease", "0"}, "not between"},
                                                                           {{"--backend", "file", "--lease", "2 days"}, "'2 days' is no time"},
                                                                           {{"--backend", "file", "--lease", "nan"}, "not between"},
                                                                           {{"--backend", "file", "more"}, "'more' is not understood"},
                                                                           {{"--frontend"}, "'--frontend' is not understood"}};
  const auto& [words, said] = wrong[static_cast<std::size_t>(GENERATE(range(0, 10)))];
  const Finished done = conform(words);
  CHECK(done.code == 64);
  CHECK(done.out.empty());
  CHECK_THAT(done.err, says(said) && says("see --help"));
}

TEST_CASE("a backend or a client that makes no sense is exit status 78", "[conformance][program]") {
  const Finished unknown = conform({"--backend", "flie"}, SHERLOCK_TEST_CONFORM);
  CHECK(unknown.code == 78);
  CHECK_THAT(unknown.err, says("flie") && says("known: "));
  const Finished client = conform({"--backend", "file", "--client", "/tmp?color=red"});
  CHECK(client.code == 78);
  CHECK_THAT(client.err, says("color=red"));
}

TEST_CASE("a plug-in that is installed nowhere is judged, and its peers have it too", "[conformance][program]") {
  const support::TempDir directory;  // trusted, as the directory of a build need not be
  const std::string plugin = directory / "any name.so";
  std::filesystem::copy_file(SHERLOCK_TEST_PLUGIN, plugin);
  const auto judge = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--backend", "record", "--client", directory.path()});
    return conform(more, SHERLOCK_TEST_CONFORM);
  };
  const Finished judged = judge({"--plugin", plugin, "--clause", "1", "--clause", "2", "--clause", "34", "--clause", "35"});
  CHECK_THAT(judged.out, says("4 clauses on record: 4 kept"));
  CHECK_THAT(judge({"--plugin", plugin, "--plugin", plugin, "--clause", "1"}).out, says(" 1 kept"));

  const Finished missing = judge({"--plugin", directory / "nowhere.so"});
  CHECK(missing.code == 78);
  CHECK_THAT(missing.err, says("there is no plug-in " + directory / "nowhere.so"));
  std::filesystem::permissions(plugin, std::filesystem::perms::all);
  const Finished refused = judge({"--plugin", plugin});
  CHECK(refused.code == 78);
  CHECK_THAT(refused.err, says("is refused: it can be written by others"));
}

TEST_CASE("a plug-in that is installed is judged by its name", "[conformance][program]") {
  const support::TempDir directory;
  std::filesystem::copy_file(SHERLOCK_TEST_PLUGIN, directory / "libsherlock-record.so");
  const Finished judged = support::run({SHERLOCK_TEST_CONFORM, "--backend", "record", "--client", directory.path(), "--clause", "2"},
                                       {"SHERLOCK_PLUGIN_PATH=" + directory.path()});
  CHECK_THAT(judged.out, says("1 clauses on record: 1 kept"));
}

TEST_CASE("--help knows the backends, and --version the version", "[conformance][program]") {
  const Finished help = conform({"--help"});
  CHECK(help.code == 0);
  CHECK_THAT(help.out, says("--backend NAME") && says("reference") && says("file"));
  const Finished version = conform({"--version"}, SHERLOCK_TEST_CONFORM);
  CHECK(version.code == 0);
  CHECK(!version.out.empty());
}

TEST_CASE("a result that cannot be written is exit status 74", "[conformance][program]") {
  CHECK(support::run({"/bin/sh", "-c", std::string{SHERLOCK_TEST_CONFORM} + " --list >/dev/full"}).code == 74);
  CHECK(support::run({"/bin/sh", "-c", std::string{SHERLOCK_TEST_CONFORM} + " --list >&-"}).code == 74);
}

TEST_CASE("a judge whose program is killed goes with it, and so do its peers", "[conformance][program]") {
  const support::TempDir directory;
  support::Program program{{SHERLOCK_TEST_CONFORM, "--backend", "file", "--client", directory.path()}};
  // Some clauses on, there is a judge with peers, whenever we look.
  for (int round = 0; round < 20'000 && program.out().find("kept             2.") == std::string::npos; ++round)
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  program.process().kill();
  program.wait();
  // All of them have the directory's path in no argument, but its companion open.
  const auto somebody_has_it_open = [&] {
    return support::run({"/bin/sh", "-c", "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q " + directory.path()}).code == 0;
  };
  for (int round = 0; round < 2000 && somebody_has_it_open(); ++round) std::this_thread::sleep_for(std::chrono::milliseconds{1});
  CHECK(!somebody_has_it_open());
}
