// SPDX-License-Identifier: MIT
// The whole program, from its start to its end: `sherlock run LOCK -- true` against `flock FILE true`.
#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>

#include "bench.hpp"

extern char** environ;

namespace bench {
namespace {

double us_of(std::vector<std::string> command) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  const std::int64_t begin = now_ns();
  pid_t pid = -1;
  if (posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ) != 0 || !stress::reap(pid)) throw std::runtime_error{command[0] + " failed"};
  return static_cast<double>(now_ns() - begin) / 1000;
}

}  // namespace

void run(Bench& bench) {
  if (bench.sherlock.empty()) return bench.report.note("skipped: --sherlock does not say where the program is");
  struct Side {
    std::string name;
    std::vector<std::string> command;
    std::vector<double> us{}, ratios{};
  };
  std::vector<Side> sides{{"flock l true", {"flock", bench.place / "l", "true"}}};
  for (const auto& store : bench.stores) {
    const std::string& backend = store->backend().name();
    sides.push_back({"sherlock " + backend, {bench.sherlock, "-b", backend, "-C", store->client(), "run", "l", "--", "true"}});
  }
  for (int i = -3; i < bench.choose(500, 100, 3); ++i) {
    for (Side& side : sides) {
      const double us = us_of(side.command);
      if (i < 0) continue;  // warming up
      side.us.push_back(us);
      side.ratios.push_back(us / sides.front().us.back());
    }
  }
  for (std::size_t i = 1; i < sides.size(); ++i) {
    const auto bound = sides[i].name == "sherlock file" ? std::optional{Bound{1.5}} : std::nullopt;
    bench.report.add({"sherlock run l -- true, times flock l true", sides[i].name, median(sides[i].ratios), "x", bound});
  }
  for (const Side& side : sides) bench.report.add({"a whole process that runs true under a lock", side.name, median(side.us), "us"});
}

}  // namespace bench
