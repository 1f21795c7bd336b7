// SPDX-License-Identifier: MIT
// Every clause of the contract, against a real server.
#pragma once

#include <string>
#include <vector>

#include <sherlock/conformance.hpp>
#include <sherlock/registry.hpp>

#include "catch.hpp"
#include "conformance/all_at_once.hpp"

namespace support {

// CHECKs that no clause is broken; the numbers of those that do not apply. `judge` is a program that registers the backend and calls
// conformance::main().
inline std::vector<int> not_applicable(sherlock::Backend backend, const std::string& client, const std::string& judge) {
  using namespace sherlock::conformance;
  const Subject subject{.backend = backend.name(), .client = client, .program = judge};
  sherlock::registry().add(std::move(backend));
  const auto verdicts = all_at_once(clauses().size(), [&](std::size_t i) { return run(clauses()[i], subject); });
  std::vector<int> numbers;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    INFO(clauses()[i].number << ". " << clauses()[i].name << ": " << verdicts[i].why);
    CHECK(verdicts[i].outcome != Outcome::broken);
    if (verdicts[i].outcome == Outcome::not_applicable) numbers.push_back(clauses()[i].number);
  }
  return numbers;
}

}  // namespace support
