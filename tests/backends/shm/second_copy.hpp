// SPDX-License-Identifier: MIT
// What the second copy of the library can be asked. All that it shows.
#pragma once

extern "C" {

struct CopysLock;

#define COPYS [[gnu::visibility("default")]]
COPYS CopysLock* copy_make(const char* segment, const char* name);
COPYS int copy_try_acquire_for(CopysLock* lock, int milliseconds);  // -1: it threw
COPYS int copy_release(CopysLock* lock);                            // 0: it threw
COPYS unsigned long long copy_fence(CopysLock* lock);               // 0: it threw
COPYS int copy_abandoned(CopysLock* lock);                          // -1: it threw
COPYS void copy_destroy(CopysLock* lock);
#undef COPYS
}
