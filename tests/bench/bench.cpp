// SPDX-License-Identifier: MIT
// bench [--backend NAME] [--section NAME] [--json] [--smoke] [--program PATH]: measures what is promised. Its exit code says whether it could
// measure, not whether the machine was quick enough: that is read.
#include "bench.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <map>

namespace bench {

double quantile(std::vector<double> all, double q) {
  const auto at = std::min(all.size() - 1, static_cast<std::size_t>(q * static_cast<double>(all.size())));
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(at), all.end());
  return all[at];
}

void Report::section(const std::string& name) {
  section_ = name;
  if (!json_) fmt::print("\n{}, {}\n", backend_, name);
}

void Report::row(const std::string& what, double figure, const std::string& unit, std::optional<double> bound) {
  const char* verdict = !bound ? "" : figure <= *bound ? "kept" : "over";
  const std::string limit = bound ? fmt::format("{:.4g}", *bound) : "";
  if (json_)
    fmt::print(R"({{"backend": "{}", "section": "{}", "what": "{}", "figure": {:.6g}, "unit": "{}", "bound": {}, "verdict": "{}"}})" "\n", backend_,
               section_, what, figure, unit, bound ? limit : "null", verdict);
  else
    fmt::print("  {:<62} {:>10.4g} {:<9} {:>7} {}\n", what, figure, unit, limit, verdict);
  std::fflush(stdout);
}

void Report::note(const std::string& text) {
  if (!json_) fmt::print("  {}\n", text);
}

Children::~Children() {
  for (const pid_t pid : pids_) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
}

void Children::join() {
  bool well = true;
  for (const pid_t pid : pids_) well = stress::reap(pid) && well;
  pids_.clear();
  if (!well) throw std::runtime_error{"a process failed"};
}

namespace {

const std::map<std::string, Bounds> kBounds{
    {"file", {.pair = 2.2, .pair_with_lease = 3.0, .hand_off = 1.2}},
    {"shm", {.pair = 1.2, .pair_with_lease = 3.0, .hand_off = 1.2}},
};

struct Section {
  const char* name;
  void (*measure)(Bench&);
};
constexpr Section kSections[] = {{"pair", pair},       {"hand-off", hand_off}, {"death", death}, {"fairness", fairness},
                                 {"foreign", foreign}, {"spurious", spurious}, {"run", run},     {"idle", idle}};

int usage() {
  std::fputs("usage: bench [--backend NAME] [--section NAME] [--json] [--smoke] [--program PATH]\nsections:", stderr);
  for (const Section& section : kSections) std::fprintf(stderr, " %s", section.name);
  std::fputs("\n", stderr);
  return 2;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  std::string backend = "file", wanted, program;
  bool json = false, smoke = false;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const bool valued = option == "--backend" || option == "--section" || option == "--program";
    if (valued && i + 1 == argc) return usage();
    if (option == "--json")
      json = true;
    else if (option == "--smoke")
      smoke = true;
    else if (valued)
      (option == "--backend" ? backend : option == "--section" ? wanted : program) = argv[++i];
    else
      return usage();
  }
  if (!wanted.empty() && std::none_of(std::begin(kSections), std::end(kSections), [&](const Section& s) { return wanted == s.name; })) return usage();
  try {
    Report report{json, backend};
    const auto bounds = kBounds.find(backend);
    for (const Section& section : kSections) {
      if (!wanted.empty() && wanted != section.name) continue;
      const stress::Store store{backend};  // of its own, so that no section inherits another's waiters
      Bench bench{store, report, smoke, program, bounds == kBounds.end() ? Bounds{} : bounds->second};
      report.section(section.name);
      section.measure(bench);
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench: %s\n", e.what());
    return 1;
  }
}
