// SPDX-License-Identifier: MIT
// A process of one version of the library, that comes to a store which another version may have made.
#pragma once

#include <string>

namespace stress {

// How a visit ended; also its exit code.
enum class Visit : int { granted = 10, busy = 11, refused = 12, lost = 13, failed = 14 };

// Takes "x" in the store and lets it go. With `stays`, says that it has it on the standard output, and keeps it until the standard input ends.
Visit visit(const std::string& backend, const std::string& client, bool stays);

// The words of a program that does that: --visit BACKEND CLIENT [stays]
int visit_as_told(int argc, char** argv);

}  // namespace stress
