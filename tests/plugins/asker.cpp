// SPDX-License-Identifier: MIT
// Asks for a backend by its name, or loads a plug-in by its path, and says how that went. With the library inside, because a privileged
// program finds none in a build's directory.
#include <sys/auxv.h>

#include <cstdio>
#include <exception>

#include <sherlock/registry.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  std::puts(getauxval(AT_SECURE) ? "privileged" : "as its user");
  try {
    const std::string what = argv[1];
    const std::string name = what.front() == '/' ? sherlock::registry().load(what).at(0) : what;
    std::printf("found %s\n", sherlock::registry().find(name).name().c_str());
  } catch (const std::exception& e) {
    std::puts(e.what());
  }
}
