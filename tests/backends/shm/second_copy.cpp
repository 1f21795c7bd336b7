// SPDX-License-Identifier: MIT
// The library a second time in one process: statically linked into a module that shows nothing of it, as plug-ins have it.
#include "second_copy.hpp"

#include <chrono>
#include <string>

#include <sherlock/shm_lock.hpp>

struct CopysLock {
  CopysLock(const char* segment, const char* name) : lock{name, {}, std::string{segment}} {}
  sherlock::ShmLock lock;
};

CopysLock* copy_make(const char* segment, const char* name) {
  try {
    return new CopysLock{segment, name};
  } catch (...) {
    return nullptr;
  }
}

int copy_try_acquire_for(CopysLock* lock, int milliseconds) {
  try {
    return lock->lock.try_acquire_for(std::chrono::milliseconds{milliseconds});
  } catch (...) {
    return -1;
  }
}

int copy_release(CopysLock* lock) {
  try {
    lock->lock.release();
    return 1;
  } catch (...) {
    return 0;
  }
}

unsigned long long copy_fence(CopysLock* lock) {
  try {
    return lock->lock.fence();
  } catch (...) {
    return 0;
  }
}

int copy_abandoned(CopysLock* lock) {
  try {
    return lock->lock.abandoned();
  } catch (...) {
    return -1;
  }
}

void copy_destroy(CopysLock* lock) { delete lock; }
