// SPDX-License-Identifier: MIT
// A backend of one's own, registered and used: through Lock, through its own class, and in a test that wants everything fresh.
#include "memory_lock.hpp"

#include <iostream>

#include <sherlock/sherlock.hpp>

using namespace std::chrono_literals;

namespace {

int failures = 0;

void check(bool kept, const char* claim) {
  std::cout << (kept ? "  as it should be: " : "  BROKEN: ") << claim << '\n';
  if (!kept) ++failures;
}

void use_it() {
  sherlock::registry().add(sherlock::backend<example::MemoryLock>({.name = "memory", .library = "std", .default_client = "default"}));

  sherlock::configure({.backend = "memory"});

  sherlock::Lock lock1{"test1"};  // of the configured backend
  lock1.acquire();

  example::MemoryLock lock2{"test2"};  // of its own class: the same store, another name
  lock2.acquire();

  check(lock1.backend() == "memory" && lock1.held() && lock2.held(), "two names are two locks");
  check(!example::MemoryLock{"test1"}.try_acquire(), "a lock made by its own class meets the one made through Lock");
  check(example::MemoryLock::list(example::MemoryLock::connect("default")).size() == 2, "the store knows both");
}

// The part of an application that is to be tested. It takes what it needs, so that a test can give it something else.
bool refresh(const sherlock::Registry& locks, int& pages) {
  sherlock::Lock index{"index", {.expire = 5s}, locks};
  if (!index.try_acquire()) return false;  // somebody else is at it
  ++pages;
  index.release();
  return true;
}

void test_with_it() {
  sherlock::Registry fresh;  // knows nothing, and nothing of it is seen outside
  fresh.add(sherlock::backend<example::MemoryLock>({.name = "memory"}));
  const auto store = std::make_shared<example::MemoryStore>();
  fresh.configure({.backend = "memory", .client = store});

  int pages = 0;
  check(refresh(fresh, pages) && pages == 1, "refresh works when the lock is free");

  example::MemoryLock other{"index", {.label = "somebody else"}, store};
  other.acquire();
  check(!refresh(fresh, pages) && pages == 1, "refresh leaves the pages alone when the lock is held");
}

}  // namespace

int main() {
  std::cout << "a backend of one's own\n";
  use_it();
  std::cout << "in a test\n";
  test_with_it();
  return failures == 0 ? 0 : 1;
}
