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
  if (bench.program.empty()) return bench.report.note("skipped: --program does not say where sherlock is");
  const std::vector<std::string> ours{bench.program, "-b", bench.store.backend().name(), "-C", bench.store.client(), "run", "l", "--", "true"};
  const std::vector<std::string> theirs{"flock", bench.store.beside("anchor"), "true"};
  for (int i = 0; i < 3; ++i) us_of(ours), us_of(theirs);
  std::vector<double> us, them, ratios;
  for (int i = 0; i < bench.choose(500, 5); ++i) {
    them.push_back(us_of(theirs));
    us.push_back(us_of(ours));
    ratios.push_back(us.back() / them.back());
  }
  bench.report.row("sherlock run l -- true, times flock l true", median(ratios), "x", 1.5);
  bench.report.row("sherlock run l -- true", median(us), "us");
  bench.report.row("flock l true", median(them), "us");
}

}  // namespace bench
