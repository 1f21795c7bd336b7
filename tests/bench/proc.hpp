// SPDX-License-Identifier: MIT
// What /proc says of a process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace bench {

// The number behind `key` in a file of it; 0 where there is none.
inline std::int64_t proc_number(pid_t pid, const char* file, const std::string& key) {
  std::ifstream in{"/proc/" + (pid == 0 ? "self" : std::to_string(pid)) + "/" + file};
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1));
  return 0;
}

// Memory that is this process's alone, in KiB.
inline std::int64_t own_memory(pid_t pid = 0) { return proc_number(pid, "smaps_rollup", "Private_Dirty"); }

inline std::int64_t context_switches(pid_t pid) {
  return proc_number(pid, "status", "voluntary_ctxt_switches") + proc_number(pid, "status", "nonvoluntary_ctxt_switches");
}

}  // namespace bench
