// SPDX-License-Identifier: MIT
// A clause that cannot fail proves nothing: each is given a backend that breaks it.
#include <set>
#include <string>
#include <vector>

#include <sherlock/conformance.hpp>

#include "all_at_once.hpp"
#include "catch.hpp"
#include "mutants.hpp"
#include "support/temp_dir.hpp"

using namespace sherlock::conformance;

namespace {

const Clause& clause_of(int number) { return clauses().at(static_cast<std::size_t>(number - 1)); }

Subject subject_of(const std::string& backend, const support::TempDir& directory) {
  return {.backend = backend, .client = directory.path(), .program = SHERLOCK_TEST_PEER};
}

}  // namespace

TEST_CASE("clauses are numbered from 1 on, without a gap", "[conformance]") {
  int number = 0;
  for (const Clause& clause : clauses()) {
    CHECK(clause.number == ++number);
    CHECK(!clause.name.empty());
    CHECK(!clause.group.empty());
  }
}

TEST_CASE("every clause has a mutant", "[conformance]") {
  std::set<int> with_mutant;
  for (const auto& mutant : reference::mutants()) with_mutant.insert(mutant.clause);
  for (const Clause& clause : clauses()) {
    INFO(clause.number << ". " << clause.name);
    CHECK(with_mutant.count(clause.number) == 1);
  }
}

TEST_CASE("every mutant is caught by its clause", "[conformance]") {
  const auto& mutants = reference::mutants();
  // Some break by chance only: he who starves nobody on purpose may starve nobody for once. Caught is who is caught in one of a few trials.
  constexpr int kTrials = 10;
  const auto verdicts = all_at_once(mutants.size(), [&](std::size_t i) {
    Verdict verdict;
    for (int trial = 0; trial < kTrials; ++trial) {
      const support::TempDir directory;
      verdict = run(clause_of(mutants[i].clause), subject_of(mutants[i].backend, directory));
      if (verdict.outcome == Outcome::broken) break;
    }
    return verdict;
  });
  for (std::size_t i = 0; i < mutants.size(); ++i) {
    INFO(mutants[i].backend << ": " << verdicts[i].why);
    CHECK(verdicts[i].outcome == Outcome::broken);
    CHECK(!verdicts[i].why.empty());
    // Every one of them is caught in the act, not by being too slow for the judge.
    CHECK(verdicts[i].why.find("did not end within") == std::string::npos);
  }
}

// By hand, for whoever changes a clause or a mutant: ten minutes.
TEST_CASE("which clauses catch which mutant", "[.matrix]") {
  for (const auto& mutant : reference::mutants()) {
    const auto verdicts = all_at_once(clauses().size(), [&](std::size_t i) {
      const support::TempDir directory;
      return run(clauses()[i], subject_of(mutant.backend, directory)).outcome;
    });
    std::string caught;
    for (std::size_t i = 0; i < verdicts.size(); ++i)
      if (verdicts[i] == Outcome::broken) caught += " " + std::to_string(clauses()[i].number);
    std::printf("%-45s%s\n", mutant.backend.c_str(), caught.c_str());
    std::fflush(stdout);
  }
}

TEST_CASE("a backend that crashes breaks a clause, not the program", "[conformance]") {
  const support::TempDir directory;
  const Verdict verdict = run(clause_of(1), subject_of("crashes", directory));
  CHECK(verdict.outcome == Outcome::broken);
  CHECK(verdict.why.find("signal 6") != std::string::npos);
}

TEST_CASE("a backend that hangs breaks a clause, and takes no longer than the limit", "[conformance]") {
  const support::TempDir directory;
  Subject subject = subject_of("hangs", directory);
  subject.limit = std::chrono::seconds{1};
  const Verdict verdict = run(clause_of(1), subject);
  CHECK(verdict.outcome == Outcome::broken);
  CHECK(verdict.why == "did not end within 1s");
}

TEST_CASE("a program that does not play its part is told how to", "[conformance]") {
  const Verdict verdict = run(clause_of(1), {.backend = "file", .program = "/bin/true"});
  CHECK(verdict.outcome == Outcome::broken);
  CHECK(verdict.why.find("peer_main") != std::string::npos);
}
