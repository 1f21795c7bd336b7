// SPDX-License-Identifier: MIT
// A process keeps a locked mutex in every store it has ever used. These tests use hundreds, and the thread sanitizer's search for deadlocks
// has room for 64 mutexes that a thread holds. What TSAN_OPTIONS says goes on top of this.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "detect_deadlocks=0"; }
