// SPDX-License-Identifier: MIT
// Hurts locks in one way, and tells which promises it saw broken. runs.txt lists the ways.
#include "stress.hpp"

#include <string_view>

#include "store.hpp"
#include "visitor.hpp"

namespace stress {
namespace {

constexpr struct {
  const char* name;
  Hurt* hurt;
} kRuns[] = {
    {"kill", kill_run},
    {"calls-kill", sweep_run},
    {"calls-stop", sweep_run},
    {"instructions-kill", instructions_run},
    {"instructions-stop", instructions_run},
    {"faults", faults_run},
    {"lease", lease_run},
    {"lease-removal", lease_removal_run},
    {"removal", removal_run},
    {"fork", fork_run},
    {"share", share_run},
    {"wait", wait_run},
    {"priority", priority_run},
    {"recycle", recycle_run},
    {"namespace", namespace_run},
    {"neighbour", neighbour_run},
    {"resources", resources_run},
    {"clocks", clocks_run},
};

int main_of(int argc, char** argv) {
  // A child of the fork run, that has replaced its program.
  if (argc == 3 && std::string_view{argv[1]} == "--inherited") return descriptors(argv[2]);
  if (argc > 1 && std::string_view{argv[1]} == "--visit") return visit_as_told(argc, argv);
  const Run run = Run::parse(argc, argv);
  for (const auto& known : kRuns) {
    if (run.name != known.name) continue;
    Report report;
    known.hurt(run, report);
    return conclude(run, report);
  }
  throw std::runtime_error{"there is no run of that name: " + run.name};
}

}  // namespace
}  // namespace stress

int main(int argc, char** argv) {
  try {
    return stress::main_of(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "stress: %s\n", e.what());
    return 2;
  }
}
