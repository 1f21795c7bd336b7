// SPDX-License-Identifier: MIT
// stress --run RUN [--backend NAME] [--seconds S] [--seed N]: hurts locks and looks for broken promises. One line of figures; the exit code is 0 when
// all promises were kept.
#include "stress.hpp"

#include <cstdlib>
#include <string_view>

#include "store.hpp"

int main(int argc, char** argv) {
  using namespace stress;
  Run run{.seed = static_cast<std::uint64_t>(time(nullptr))};
  std::string name;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option{argv[i]};
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--inherited") return descriptors(value);  // a child of the fork run
    if (option == "--run")
      name = value;
    else if (option == "--backend")
      run.backend = value;
    else if (option == "--seconds")
      run.seconds = std::atof(value);
    else if (option == "--seed")
      run.seed = std::strtoull(value, nullptr, 10);
    else
      name.clear();
  }
  const struct {
    const char* name;
    int (*call)(const Run&);
  } runs[] = {{"kill", kill_run},       {"lease", lease_run},         {"lease-removal", lease_removal_run}, {"removal", removal_run},
              {"fork", fork_run},       {"share", share_run},         {"wait", wait_run},                   {"recycle", recycle_run},
              {"namespace", namespace_run}, {"neighbour", neighbour_run}};
  for (const auto& known : runs) {
    if (name != known.name) continue;
    std::printf("%s, %s: seed %llu, %.3g s: ", run.backend.c_str(), known.name, static_cast<unsigned long long>(run.seed), run.seconds);
    std::fflush(stdout);
    const int broken = known.call(run);
    if (broken == kSkipped) return 0;
    std::printf("; %s\n", broken == 0 ? "kept" : "BROKEN");
    return broken == 0 ? 0 : 1;
  }
  std::fputs("usage: stress --run RUN [--backend NAME] [--seconds S] [--seed N]\nruns:", stderr);
  for (const auto& known : runs) std::fprintf(stderr, " %s", known.name);
  std::fputs("\n", stderr);
  return 2;
}
