// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <stdexcept>

#include "conformance/json.hpp"

namespace stress {
namespace {

using sherlock::conformance::json_object;
using sherlock::conformance::json_text;

}  // namespace

bool Report::kept() const {
  return std::all_of(broken_.begin(), broken_.end(), [](const auto& promise) { return promise.second == 0; });
}

std::string Report::text() const {
  if (skipped()) return "skipped: " + skipped_;
  std::string text;
  const auto add = [&](const std::string& figure) { text += (text.empty() ? "" : ", ") + figure; };
  for (const auto& [what, times] : counts_) add(fmt::format("{} {}", times, what));
  for (const auto& [promise, times] : broken_) add(fmt::format("{} {}", promise, times));
  for (const auto& [what, figure, unit] : worst_) add(fmt::format("{} {:.3g} {}", what, figure, unit));
  return text + (kept() ? "; kept" : "; BROKEN");
}

std::string Report::json(std::vector<std::pair<std::string, std::string>> members) const {
  members.emplace_back("result", json_text(skipped() ? "skipped" : kept() ? "kept" : "broken"));
  if (skipped()) members.emplace_back("why", json_text(skipped_));
  std::vector<std::pair<std::string, std::string>> counts, worst, broken;
  for (const auto& [what, times] : counts_) counts.emplace_back(what, std::to_string(times));
  for (const auto& [what, figure, unit] : worst_) worst.emplace_back(fmt::format("{}, {}", what, unit), fmt::format("{:.4g}", figure));
  for (const auto& [promise, times] : broken_) broken.emplace_back(promise, std::to_string(times));
  members.emplace_back("counts", json_object(counts));
  members.emplace_back("worst", json_object(worst));
  members.emplace_back("broken", json_object(broken));
  return json_object(members);
}

Run Run::parse(int argc, char** argv) {
  Run run;
  run.seed = static_cast<std::uint64_t>(time(nullptr));
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--json") {
      run.json = true;
      continue;
    }
    if (i + 1 == argc) throw std::runtime_error{option + " is not understood, or lacks its value"};
    const std::string value = argv[++i];
    if (option == "--run")
      run.name = value;
    else if (option == "--backend")
      run.backend = value;
    else if (option == "--seconds")
      run.seconds = std::atof(value.c_str());
    else if (option == "--seed")
      run.seed = std::strtoull(value.c_str(), nullptr, 10);
    else if (option == "--scene")
      run.scene = value;
    else if (option == "--every")
      run.every = std::atol(value.c_str());
    else
      throw std::runtime_error{option + " is not understood"};
  }
  return run;
}

int conclude(const Run& run, const Report& report) {
  const auto line = [&] {
    if (!run.json) return fmt::format("{}, {}, seed {}, {:.3g} s: {}", run.name, run.backend, run.seed, run.seconds, report.text());
    return report.json({{"run", json_text(run.name)},
                        {"backend", json_text(run.backend)},
                        {"seed", std::to_string(run.seed)},
                        {"seconds", fmt::format("{:.3g}", run.seconds)}});
  }();
  fmt::print("{}\n", line);
  return report.skipped() || report.kept() ? 0 : 1;
}

}  // namespace stress
