// SPDX-License-Identifier: MIT
// `sherlock` as one calls it. A short command under a lock should cost little more than the command, and most of what `run` takes is the loading
// of shared libraries (of 2.4 ms, 0.9: libstdc++, SQLite, fmt, our own). So this program has `run` on the stores that need none of them, and gives
// every other line, unread, to the whole program, which is kept beside it or in libexec.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string_view>

#include <sherlock/registry.hpp>

#include "commands.hpp"
#include "exit_codes.hpp"
#include "output.hpp"
#include "program.hpp"
#include "whole_program.hpp"

namespace sherlock::cli {
namespace {

// Whether we can do what is asked. What is wrong or asks for help is for the whole program, so that it is said in one place.
bool is_ours(int argc, char** argv) {
  try {
    Args args{argc, argv};
    Common common;
    args.read_leading(common);
    if (common.help || common.version || args.take("a command") != std::string_view{"run"}) return false;
    const auto backend = backend_of_run(std::move(args), std::move(common));
    return backend && std::ranges::count(registry().names(), *backend);
  } catch (const std::exception&) {
    return false;
  }
}

// Found from where we are, so that a tree that was moved works, and one that was built and not installed.
int hand_over(char** argv) {
  std::error_code unread;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", unread).parent_path();
  const auto beside = here / "sherlock-whole", installed = here / kWholeProgram;
  ::execv(beside.c_str(), argv);
  ::execv(installed.c_str(), argv);
  complain(fmt::format("cannot start {}, which has all but `run` on files and shared memory: {}", installed.lexically_normal().string(),
                       unread ? "/proc is not there to say where it is" : std::strerror(errno)));
  return kSystem;
}

}  // namespace
}  // namespace sherlock::cli

int main(int argc, char** argv) {
  using namespace sherlock::cli;
  if (!is_ours(argc, argv)) return hand_over(argv);
  static constexpr Command kCommands[] = {{"run", run}};
  return program(argc, argv, kCommands);
}
