// SPDX-License-Identifier: MIT
// What a run has to say: figures, and how often it saw each promise broken. One line, for people or for programs.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stress {

class Report {
 public:
  // How often something happened; of several runs of a kind the sum counts.
  void count(std::string what, std::uint64_t times) { counts_.emplace_back(std::move(what), times); }
  // The longest time, or the largest of whatever is better small; of several runs of a kind the largest counts.
  void worst(std::string what, std::chrono::nanoseconds time) { worst(std::move(what), static_cast<double>(time.count()) / 1e6, "ms"); }
  void worst(std::string what, double figure, std::string unit) { worst_.push_back({std::move(what), figure, std::move(unit)}); }
  // How often a promise was seen broken. Told when it was never broken, too.
  void broken(std::string promise, std::uint64_t times) { broken_.emplace_back(std::move(promise), times); }
  // Nothing was tried, and why.
  void skip(std::string why) { skipped_ = std::move(why); }

  bool skipped() const { return !skipped_.empty(); }
  bool kept() const;

  // "12 kills, overlaps 0, longest wait 3.1 ms; kept"
  std::string text() const;
  // {"result": "kept", "counts": {...}, "worst": {"longest wait, ms": 3.1}, "broken": {...}}, with these members in front, which are JSON already.
  std::string json(std::vector<std::pair<std::string, std::string>> members) const;

 private:
  struct Worst {
    std::string what;
    double figure;
    std::string unit;
  };
  std::vector<std::pair<std::string, std::uint64_t>> counts_, broken_;
  std::vector<Worst> worst_;
  std::string skipped_;
};

// What the programs of the torture bench are told, all of them in the same way:
//   PROGRAM --run RUN [--backend NAME] [--seconds S] [--seed N] [--json] [--scene NAME] [--every N]
struct Run {
  std::string name, backend = "file";
  double seconds = 3;      // of those that go on for as long as they may
  std::uint64_t seed = 1;
  std::string scene;       // of those that play scenes: only this one
  long every = 0;          // of those that draw their points: not any, but each N-th, to the end
  bool json = false;

  // Throws std::runtime_error that says what is wrong with it.
  static Run parse(int argc, char** argv);
};

// Prints the one line. The exit code: 0 when all promises were kept or nothing could be tried, else 1.
int conclude(const Run& run, const Report& report);

}  // namespace stress
