// SPDX-License-Identifier: MIT
// A directory that plug-ins are found in, and what becomes of them: copies of those that the build made (SHERLOCK_TEST_PLUGINS), because
// what is loaded has to be trusted all the way up, and the directory of a build need not be.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#include <sherlock/error.hpp>
#include <sherlock/registry.hpp>

#include "kinds.hpp"
#include "support/temp_dir.hpp"

namespace plugins {

inline constexpr uid_t kStranger = 65534;

// While it lives, plug-ins are looked for in it, and those that are loaded leave their mark.
class Place {
 public:
  Place() {
    look_in(dir_.path());
    ::setenv("SHERLOCK_TEST_MARKER", (dir_ / "marks").c_str(), 1);
  }
  ~Place() {
    ::unsetenv("SHERLOCK_PLUGIN_PATH");
    ::unsetenv("SHERLOCK_TEST_MARKER");
  }

  static void look_in(const std::string& path) { ::setenv("SHERLOCK_PLUGIN_PATH", path.c_str(), 1); }

  const std::string& path() const { return dir_.path(); }
  std::string operator/(std::string_view name) const { return dir_ / name; }
  std::string make_directory(std::string_view name, mode_t mode = 0755) const {
    const std::string path = dir_ / name;
    std::filesystem::create_directories(path);
    ::chmod(path.c_str(), mode);
    return path;
  }

  static std::string content(Kind kind) {
    std::ifstream in{std::string{SHERLOCK_TEST_PLUGINS} + "/kind_" + std::to_string(static_cast<int>(kind)) + ".so", std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
  }
  // A plug-in as the file `name` there: a new one each time, so that it is loaded anew. Its path.
  std::string put(Kind kind, std::string_view name = "libsherlock-good.so", mode_t mode = 0755) const { return put(content(kind), name, mode); }
  std::string put(const std::string& content, std::string_view name = "libsherlock-good.so", mode_t mode = 0755) const {
    const std::string path = dir_ / name;
    std::filesystem::remove(path);
    dir_.write(name, content);
    ::chmod(path.c_str(), mode);
    return path;
  }

  // A letter for each that was loaded: 'a' is the first of Kind.
  std::string marks() const { return std::filesystem::exists(dir_ / "marks") ? dir_.read("marks") : ""; }

  // What a new registry says when it is asked for a backend: nothing where it has it.
  static std::string refusal(std::string_view backend = "good") {
    const sherlock::Registry registry;
    try {
      static_cast<void>(registry.find(backend));
      return {};
    } catch (const sherlock::ConfigurationException& e) {
      return registry.names().empty() ? e.what() : "refused, and yet something is registered";
    }
  }

 private:
  const support::TempDir dir_;
};

// Whether the test may give files to others. Says so where it may not.
inline bool may_give_away(const char* claim) {
  if (::geteuid() == 0) return true;
  std::cout << "skipped: " << claim << ": only root can give a file to somebody else\n";
  return false;
}

}  // namespace plugins
