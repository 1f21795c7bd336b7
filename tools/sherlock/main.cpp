// SPDX-License-Identifier: MIT
// The whole program: every command, on every backend and every plug-in.
#include "commands.hpp"
#include "program.hpp"

int main(int argc, char** argv) {
  using namespace sherlock::cli;
  static constexpr Command kCommands[] = {{"run", run}, {"status", status}, {"list", list}, {"backends", backends}, {"clean", clean}};
  return program(argc, argv, kCommands);
}
