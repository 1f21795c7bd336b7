// SPDX-License-Identifier: MIT
// Two copies of the library in one process: they know nothing of each other, and are two users of the segment.
#include <dlfcn.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "ground.hpp"
#include "second_copy.hpp"

using namespace ground;

namespace {

// SHERLOCK_TEST_COPY is the module. Never unloaded: its locks outlive everything.
class Copy {
 public:
  Copy() : module_{::dlopen(SHERLOCK_TEST_COPY, RTLD_NOW | RTLD_LOCAL)} {
    if (!module_) FAIL(::dlerror());
    find(make, "copy_make");
    find(try_acquire_for, "copy_try_acquire_for");
    find(release, "copy_release");
    find(fence, "copy_fence");
    find(abandoned, "copy_abandoned");
    find(destroy, "copy_destroy");
  }

  decltype(&copy_make) make;
  decltype(&copy_try_acquire_for) try_acquire_for;
  decltype(&copy_release) release;
  decltype(&copy_fence) fence;
  decltype(&copy_abandoned) abandoned;
  decltype(&copy_destroy) destroy;

 private:
  template <class Function>
  void find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(::dlsym(module_, name));
    REQUIRE(function != nullptr);
  }

  void* const module_;
};

}  // namespace

TEST_CASE("two copies of the library in one process exclude each other, and their fences are one row", "[shm]") {
  const Ground ground;
  const Copy copy;
  auto mine = ground.lock();
  CopysLock* const theirs = copy.make(ground.segment.c_str(), "x");
  REQUIRE(theirs);
  std::uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(mine.try_acquire());
    CHECK(copy.try_acquire_for(theirs, 0) == 0);
    CHECK(copy.release(theirs) == 0);
    CHECK(mine.fence() > last);
    last = mine.fence();
    mine.release();
    REQUIRE(copy.try_acquire_for(theirs, 0) == 1);
    CHECK_FALSE(mine.try_acquire());
    CHECK_THROWS_AS(mine.release(), LockNotHeldException);
    CHECK(copy.fence(theirs) > last);
    last = copy.fence(theirs);
    CHECK(copy.release(theirs) == 1);
  }
  copy.destroy(theirs);
}

TEST_CASE("threads of two copies wait for each other", "[shm]") {
  const Ground ground;
  const Copy copy;
  std::atomic<int> inside{0}, overlaps{0}, total{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      auto mine = ground.lock("x", {.timeout = forever});
      CopysLock* const theirs = copy.make(ground.segment.c_str(), "x");
      for (int i = 0; i < 1000; ++i) {
        if (t % 2)
          mine.acquire();
        else
          while (copy.try_acquire_for(theirs, 20000) != 1) {
          }
        overlaps += inside.exchange(1) != 0;
        ++total;
        inside = 0;
        if (t % 2)
          mine.release();
        else
          copy.release(theirs);
      }
      copy.destroy(theirs);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(overlaps == 0);
  CHECK(total == 4000);
}

TEST_CASE("the death of a process frees what either copy held, though a forked child lives on", "[shm][process]") {
  const Ground ground;
  auto mine = ground.lock("mine", {.timeout = kPatience}), theirs = ground.lock("theirs", {.timeout = kPatience});
  Pipe ready, go;
  Child holder{[&] {
    const Copy copy;
    auto lock = ground.lock("mine");
    lock.acquire();
    CopysLock* const other = copy.make(ground.segment.c_str(), "theirs");
    if (copy.try_acquire_for(other, 0) != 1) return 1;
    Child child{[&] {
      if (lock.held() || copy.release(other) != 0 || copy.try_acquire_for(other, 0) != 0) return 2;
      ready.tell();
      go.hear();
      return 0;
    }};
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  CHECK_FALSE(mine.try_acquire());
  CHECK_FALSE(theirs.try_acquire());
  holder.kill();
  mine.acquire();
  theirs.acquire();
  CHECK(mine.abandoned());
  CHECK(theirs.abandoned());
  go.tell();
}
