// SPDX-License-Identifier: MIT
// From the start of a process to its first lock, in a store that is there already: what a short program pays.
#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>

#include "bench.hpp"
#include "python.hpp"

extern char** environ;

namespace bench {
namespace {

struct Side {
  std::string name;
  std::vector<std::string> command;
  std::vector<double> us{};
};

double us_of(std::vector<std::string> command) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  int answer[2];
  if (pipe2(answer, O_CLOEXEC) != 0) throw std::runtime_error{"pipe"};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, answer[1], 1);
  const std::int64_t begin = now_ns();
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(answer[1]);
  char text[64] = {};
  const ssize_t size = error == 0 ? read(answer[0], text, sizeof text - 1) : 0;
  close(answer[0]);
  if (error != 0 || !stress::reap(pid) || size <= 0) throw std::runtime_error{command[0] + " failed"};
  return static_cast<double>(std::stoll(text) - begin) / 1000;
}

}  // namespace

void start(Bench& bench) {
  std::vector<Side> sides{{"flock(2)", {bench.programs + "/starter_system", "flock", bench.place / "start.flock"}},
                          {"pthread robust mutex", {bench.programs + "/starter_system", "robust", bench.place / "start.robust"}},
                          {"bare SQLite rows", {bench.programs + "/starter_sqlite", bench.place / "start.db"}}};
  for (const auto& store : bench.stores)
    sides.push_back({"sherlock " + store->backend().name(), {bench.programs + "/starter_sherlock", store->backend().name(), store->client()}});
  std::vector<std::string> missing;
  for (const Kind& kind : python_kinds(bench.programs, missing))
    sides.push_back({kind.name, {python_program(), bench.programs + "/peers.py", "start", kind.python, bench.place / ("start." + kind.python)}});
  const int times = bench.choose(100, 20, 2);
  for (int time = -1; time < times; ++time)
    for (Side& side : sides) {
      if (side.name.starts_with("Python") && time > times / 5) continue;  // a tenth of a second each
      const double us = us_of(side.command);
      if (time >= 0) side.us.push_back(us);  // the first one made the store
    }
  for (const Side& side : sides) bench.report.add({"start of a process to its first lock", side.name, median(side.us), "us"});
}

}  // namespace bench
