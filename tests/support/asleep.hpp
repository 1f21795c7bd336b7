// SPDX-License-Identifier: MIT
// Threads that are to be at rest before a fork: whatever locks the test, its clock or a sanitizer has, a sleeper most likely has none of them.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "becomes.hpp"

namespace support {

// True once every other thread of this process sleeps in the kernel. False: not for a long time.
inline bool others_asleep() {
  return becomes([] {
    for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
      if (task.path().filename() == std::to_string(::gettid())) continue;
      std::string stat;
      std::getline(std::ifstream{task.path() / "stat"}, stat);
      const auto name_ends = stat.rfind(") ");  // the name may have anything in it
      if (name_ends != std::string::npos && stat[name_ends + 2] != 'S') return false;
    }
    return true;
  });
}

}  // namespace support
