// SPDX-License-Identifier: MIT
// What a plug-in says of itself in its file, to be read before it is loaded: the constructors of a library run while it is loaded.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace sherlock::detail {

// Why a file is not loaded, or is of no use, and the way out.
class PluginRefused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The number in the ELF note ".note.sherlock", see <sherlock/plugin.hpp>. PluginRefused where the file is no ELF library of this machine's
// kind, has no such note, or is not all there: the dynamic linker maps what the headers promise, and a process that touches what is not
// there dies of it.
std::uint32_t plugin_abi(int fd);

// Throws PluginRefused unless the plug-in was built for this library.
void check_plugin_abi(int fd);

}  // namespace sherlock::detail
