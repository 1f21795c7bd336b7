// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <fmt/core.h>

#include <cstdio>

namespace bench {
namespace {

bool holds(const Figure& f) {
  if (!f.value) return f.bound->relation == Bound::at_least;
  return f.bound->relation == Bound::at_most ? *f.value <= f.bound->limit : *f.value >= f.bound->limit;
}

// Nothing here contains a quote.
std::string number(std::optional<double> value) { return value ? fmt::format("{:.6g}", *value) : "null"; }

}  // namespace

void Report::section(const std::string& name) {
  section_ = name;
  if (json_)
    fmt::print(R"({{"section": "{}"}})" "\n", name);
  else
    fmt::print("\n{}\n", name);
  std::fflush(stdout);
}

void Report::add(const Figure& f) {
  if (json_) {
    std::string rest;
    if (f.at) rest += fmt::format(R"(, "at": {}, "along": "{}")", number(f.at), f.along);
    if (f.bound)
      rest += fmt::format(R"(, "bound": {}, "relation": "{}", "holds": {})", number(f.bound->limit), f.bound->relation == Bound::at_most ? "<=" : ">=", holds(f));
    fmt::print(R"({{"section": "{}", "what": "{}", "who": "{}", "value": {}, "unit": "{}"{}}})" "\n", section_, f.what, f.who, number(f.value), f.unit, rest);
  } else {
    const std::string where = f.at ? fmt::format(", {:.6g} {}", *f.at, f.along) : "";
    const std::string promise = f.bound ? fmt::format("{} {:.4g} {}", f.bound->relation == Bound::at_most ? "<=" : ">=", f.bound->limit,
                                                      holds(f) ? "holds" : "DOES NOT HOLD") : "";
    fmt::print("  {:<62} {:<28} {:>10} {:<10} {}\n", f.what + where, f.who, f.value ? fmt::format("{:.4g}", *f.value) : "never", f.unit, promise);
  }
  std::fflush(stdout);
}

void Report::note(const std::string& text) {
  if (json_)
    fmt::print(R"({{"section": "{}", "note": "{}"}})" "\n", section_, text);
  else
    fmt::print("  {}\n", text);
  std::fflush(stdout);
}

void Report::progress(const std::string& text) {
  fmt::print(stderr, "{}: {}\n", section_, text);
  std::fflush(stderr);
}

}  // namespace bench
