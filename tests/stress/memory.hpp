// SPDX-License-Identifier: MIT
// A program without memory: operator new, replaced for all of it. SQLite, which has its own, is not touched.
#pragma once

#include <cstdint>

namespace stress {

// The n-th allocation from now, of any thread of this process, fails, and so do those after it, `times` in all. 0: none.
void fail_memory(long nth, int times);
// Since the last call of that.
std::uint64_t allocations_until_now();

}  // namespace stress
