// SPDX-License-Identifier: MIT
// Who keeps the contract: the backends of one host, the example that people copy, and the backends that the mutants are made from.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include <sherlock/conformance.hpp>
#include <sherlock/registry.hpp>

#include "all_at_once.hpp"
#include "catch.hpp"
#include "support/temp_dir.hpp"

using namespace sherlock::conformance;

namespace {

// The numbers of the clauses that do not apply. None may be broken.
std::vector<int> not_applicable_to(const std::string& backend, const std::string& client) {
  const auto verdicts = all_at_once(clauses().size(), [&](std::size_t i) {
    return run(clauses()[i], {.backend = backend, .client = client, .program = SHERLOCK_TEST_PEER});
  });
  std::vector<int> numbers;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    INFO(clauses()[i].number << ". " << clauses()[i].name << ": " << verdicts[i].why);
    CHECK(verdicts[i].outcome != Outcome::broken);
    if (verdicts[i].outcome == Outcome::not_applicable) numbers.push_back(clauses()[i].number);
  }
  return numbers;
}

}  // namespace

TEST_CASE("each backend of one host keeps every clause, and none does not apply", "[conformance]") {
  const support::TempDir directory;
  const std::string segment = "sherlock-conformance-" + std::to_string(getpid());
  const struct {
    const char* backend;
    std::string client;
  } subjects[] = {{"file", directory / "locks"}, {"shm", segment}, {"sqlite", directory / "locks.db"}};
  const std::vector<std::string> built_in = sherlock::registry().names();
  int judged = 0;
  for (const auto& subject : subjects) {
    if (std::find(built_in.begin(), built_in.end(), subject.backend) == built_in.end()) continue;
    INFO(subject.backend);
    CHECK(not_applicable_to(subject.backend, subject.client).empty());
    ++judged;
  }
  CHECK(judged >= 1);
  shm_unlink(segment.c_str());
}

TEST_CASE("the example in memory keeps every clause that concerns one process", "[conformance][memory]") {
  CHECK(not_applicable_to("memory", "") == std::vector{19, 26, 29, 31, 32, 33, 34, 35, 41, 42});
}

TEST_CASE("the reference, from which the mutants are made, keeps every clause", "[conformance]") {
  const support::TempDir directory;
  CHECK(not_applicable_to("reference", directory.path()).empty());
}

TEST_CASE("a backend that promises nothing more than it must is judged by what it promises", "[conformance]") {
  const support::TempDir directory;
  CHECK(not_applicable_to("weak", directory.path()) == std::vector{15, 19, 21, 27, 28, 31});
}
