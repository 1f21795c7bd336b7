// SPDX-License-Identifier: MIT
// The contract (docs/contract.md) as numbered clauses, and a judge that holds a backend to them: with real threads and processes, which
// are really killed, stopped, forked and exec'ed. No test framework is needed, and none is in the way.
//
// A backend of your own is judged by a program of three lines, which takes the same words as sherlock-conform:
//
//   int main(int argc, char** argv) {
//     sherlock::registry().add(sherlock::backend<MyLock>({.name = "mine"}));
//     return sherlock::conformance::main(argc, argv);
//   }
//
// This is the library sherlock-conformance; <sherlock/sherlock.hpp> does not include it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sherlock/duration.hpp>

namespace sherlock::conformance {

// What a backend must declare for a clause to apply to it. `processes` is every scope but Scope::process.
enum class Need { fences, wakes, fair, never, processes };

struct Clause {
  int number;                   // stable: it is never given to another clause
  std::string_view name{};      // a sentence
  std::string_view group{};     // "exclusion", "ownership", ...
  std::vector<Need> needs{};    // usually none
};

// In the order of their numbers.
const std::vector<Clause>& clauses();

// Whom to judge. The store is used as it is; nothing is removed from it, and the names of locks are new in every run.
struct Subject {
  std::string backend{};                           // its name in the registry
  std::string client{};                            // as text; empty is the backend's default
  Duration lease = std::chrono::milliseconds{300};  // the shortest expiry that the store keeps well
  Duration limit = std::chrono::seconds{60};       // the longest that one clause may take
  std::vector<std::string> plugins{};              // paths of plug-ins that are loaded before the backend is looked for
  std::string program = "/proc/self/exe";          // plays the judge and its peers: main() of it calls peer_main()
};

enum class Outcome { kept, broken, not_applicable };

struct Verdict {
  Outcome outcome = Outcome::broken;
  std::string why{};  // of what is not kept: what happened, or the trait without which the clause does not apply
};

// Judges in a process of its own, so that a backend that hangs or crashes breaks a clause and nothing else. Any thread.
Verdict run(const Clause& clause, const Subject& subject);

// For the assertions of a test framework: whether the clause is not broken. If it is, stderr says why.
bool kept(const Clause& clause, const Subject& subject);

// To be called first in main(), as soon as the backends are registered. Where the program was started to play the judge or a peer, it plays until
// it is no longer needed: the result is what main() should return. Nothing otherwise.
std::optional<int> peer_main(int argc, char** argv);

// The program: --backend NAME, --client TEXT, and what --help tells. Calls peer_main() itself.
int main(int argc, char** argv);

}  // namespace sherlock::conformance
