// SPDX-License-Identifier: MIT
// sherlock-conform with the mutants: the program that plays judge and peers for the tests, and that can be run by hand on any of them.
#include <sherlock/conformance.hpp>

#include "mutants.hpp"

int main(int argc, char** argv) {
  reference::register_all();
  return sherlock::conformance::main(argc, argv);
}
