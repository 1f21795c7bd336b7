// SPDX-License-Identifier: MIT
// Where figures go: to a reader, or as a line of JSON each to whoever makes tables and pictures of them.
#pragma once

#include <optional>
#include <string>

namespace bench {

// What is promised of a figure. None: it is only read.
struct Bound {
  double limit;
  enum { at_most, at_least } relation = at_most;
};

struct Figure {
  std::string what;             // "hand-off, median"
  std::string who;              // "sherlock file", "flock(2)"
  std::optional<double> value;  // none: never
  std::string unit;             // "x": times something, which `what` says
  std::optional<Bound> bound{};
  std::optional<double> at{};   // where along a curve: "64" processes
  std::string along{};          // what that counts: "processes"
};

class Report {
 public:
  explicit Report(bool json) : json_{json} {}
  void section(const std::string& name);
  void add(const Figure& figure);
  // What was left out, and why.
  void note(const std::string& text);
  // What is being measured just now; to stderr, for whoever waits.
  void progress(const std::string& text);

 private:
  const bool json_;
  std::string section_;
};

}  // namespace bench
