// SPDX-License-Identifier: MIT
#include "python.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <stdexcept>

extern char** environ;

namespace bench {

std::string python_program() { return access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3"; }

Python::Python(const std::string& programs) {
  int question[2], answer[2];
  if (pipe2(question, O_CLOEXEC) != 0 || pipe2(answer, O_CLOEXEC) != 0) throw std::runtime_error{"pipe"};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, question[0], 0);
  posix_spawn_file_actions_adddup2(&actions, answer[1], 1);
  std::string words[] = {python_program(), programs + "/peers.py", "serve"};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  const int error = posix_spawnp(&pid_, argv[0], &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(question[0]);
  close(answer[1]);
  if (error != 0) throw std::runtime_error{"python3 cannot be started"};
  to_ = fdopen(question[1], "w");
  from_ = fdopen(answer[0], "r");
}

Python::~Python() {
  std::fclose(to_);  // which ends it
  std::fclose(from_);
  waitpid(pid_, nullptr, 0);
}

std::vector<double> Python::ask(const std::string& question) {
  std::fprintf(to_, "%s\n", question.c_str());
  std::fflush(to_);
  char* line = nullptr;
  std::size_t size = 0;
  const bool answered = getline(&line, &size, from_) > 0;
  std::istringstream words{answered ? line : ""};
  free(line);
  std::vector<double> numbers;
  for (double number = 0; words >> number;) numbers.push_back(number);
  if (numbers.empty()) throw std::runtime_error{"peers.py has no answer to: " + question};
  return numbers;
}

std::vector<Kind> python_kinds(const std::string& programs, std::vector<std::string>& missing) {
  std::vector<Kind> kinds;
  Python python{programs};
  for (const std::string key : {"filelock", "fasteners", "portalocker"}) {
    if (python.ask("have " + key).front() == 1)
      kinds.push_back({.name = "Python " + key, .make = {}, .python = key});
    else
      missing.push_back("python3-" + key);
  }
  return kinds;
}

}  // namespace bench
