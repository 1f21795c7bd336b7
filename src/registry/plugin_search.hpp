// SPDX-License-Identifier: MIT
// Where a plug-in is looked for, by the name of its backend.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sherlock::detail {

// What a backend can be called: it becomes part of a path, so there is no dot and no slash in it.
bool is_backend_name(std::string_view name);

// $libdir/sherlock, as it was configured when the library was built.
std::string compiled_in_plugin_directory();

// Absolute paths, in the order in which they are searched: those of SHERLOCK_PLUGIN_PATH, where the program is not privileged, then the
// compiled-in one.
std::vector<std::string> plugin_directories();

// "libsherlock-etcd.so"
std::string plugin_file_name(std::string_view backend);

// For an error: what could provide a backend of that name, and where it was looked for.
std::string where_to_get(std::string_view backend);

}  // namespace sherlock::detail
