// SPDX-License-Identifier: MIT
// Every system call of the library, and of SQLite where that is built in, goes through a table; here each entry of those tables asks a hook first.
// For a process that does nothing else: a forked child.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace stress {

// Of one call that is about to be made. 0: let it be made; otherwise it fails with that errno.
using Fault = std::function<int(const char* call)>;

// From now on, in this process.
void before_each_call(Fault fault);

// Where a close was said to have failed, a stranger's file has got the number since. Whether all of those are open still; they are closed now.
bool strangers_are_left_alone();

}  // namespace stress
