// SPDX-License-Identifier: MIT
// A plug-in in the memory of this process: from now on its code runs.
#pragma once

#include <string>

#include <sherlock/registry.hpp>

#include "posix/unique_fd.hpp"

namespace sherlock::detail {

class PluginLibrary {
 public:
  // Loads the file that is open, never the one that has its path now. It stays for good: locks, threads and exceptions may be made of its
  // code. PluginRefused where it was built for another library, or the dynamic linker does not take it.
  explicit PluginLibrary(const posix::UniqueFd& file);

  // The same for the same file, however often it is loaded.
  const void* id() const { return handle_; }
  // Has it add its backends. PluginRefused with what it says where it throws.
  void add_to(Registry& registry) const;

 private:
  void* handle_ = nullptr;
};

}  // namespace sherlock::detail
