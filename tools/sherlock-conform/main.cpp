// SPDX-License-Identifier: MIT
// Judges the built-in backends, and those that are plug-ins. A program for a backend of one's own registers it first, and is as short.
#include <sherlock/conformance.hpp>

int main(int argc, char** argv) { return sherlock::conformance::main(argc, argv); }
