// SPDX-License-Identifier: MIT
// Every clause of the contract, against a real server.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include <sherlock/conformance.hpp>
#include <sherlock/registry.hpp>

#include "conformance/all_at_once.hpp"

namespace support {

// In the order of clauses(). `judge` is a program that registers the backend and calls conformance::main(); `lease` is the shortest that the server keeps well.
inline std::vector<sherlock::conformance::Verdict> judge(const std::string& backend, const std::string& client, const std::string& judge,
                                                         sherlock::Duration lease = sherlock::conformance::Subject{}.lease) {
  using namespace sherlock::conformance;
  const Subject subject{.backend = backend, .client = client, .lease = lease, .program = judge};
  auto verdicts = all_at_once(clauses().size(), [&](std::size_t i) { return run(clauses()[i], subject); });
  for (std::size_t i = 0; i < verdicts.size(); ++i)
    if (verdicts[i].outcome == Outcome::broken)
      std::printf("%d. %s: %s\n", clauses()[i].number, std::string{clauses()[i].name}.c_str(), verdicts[i].why.c_str());
  return verdicts;
}

inline std::vector<int> numbers(const std::vector<sherlock::conformance::Verdict>& verdicts, sherlock::conformance::Outcome outcome) {
  std::vector<int> found;
  for (std::size_t i = 0; i < verdicts.size(); ++i)
    if (verdicts[i].outcome == outcome) found.push_back(sherlock::conformance::clauses()[i].number);
  return found;
}
inline std::vector<int> broken(const std::vector<sherlock::conformance::Verdict>& verdicts) {
  return numbers(verdicts, sherlock::conformance::Outcome::broken);
}
inline std::vector<int> not_applicable(const std::vector<sherlock::conformance::Verdict>& verdicts) {
  return numbers(verdicts, sherlock::conformance::Outcome::not_applicable);
}

}  // namespace support
