// SPDX-License-Identifier: MIT
// What an uncontended lock costs beyond its store. What can be counted is counted; what takes time is tests/bench's.
#include <sherlock/base_lock.hpp>

#include "catch.hpp"
#include "support/allocations.hpp"
#include "support/counters.hpp"
#include "support/fake_clock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::allocations;

namespace {

// A store that costs nothing at all.
class FreeLock final : public BaseLock {
 public:
  using BaseLock::Threads;
  explicit FreeLock(Threads threads, Options options = {})
      : BaseLock{"a name that is longer than what fits into a short string", std::move(options), kTraits, "free", threads} {}
  ~FreeLock() override { let_go(); }

 private:
  static constexpr Traits kTraits{.never = true, .default_expire = never};
  std::optional<Grant> do_acquire(const Claim&) override { return Grant{.fence = ++fence_}; }
  bool do_release(const Claim&) override { return true; }
  bool do_renew(const Claim&) override { return true; }
  bool do_locked(const Claim&) const override { return false; }
  std::optional<Holder> do_holder(const Claim&) const override { return {}; }

  std::uint64_t fence_ = 0;
};

using Threads = FreeLock::Threads;

}  // namespace

TEST_CASE("an uncontended lock allocates nothing and asks no clock", "[base_lock][cost]") {
  const support::FakeClock clock;
  FreeLock lock{Threads::store_excludes, {.timeout = 10s}};
  const int reads = clock.reads();
  const long before = allocations;
  for (int i = 0; i < 100; ++i) {
    lock.acquire();
    (void)lock.fence();
    (void)lock.held();
    lock.release();
    if (lock.try_acquire()) lock.unlock();
    if (lock.try_acquire_for(1s)) lock.unlock();
    lock.lock();
    (void)lock.renew();
    lock.unlock();
  }
  const long made = allocations - before;
  CHECK(made == 0);
  CHECK(clock.reads() == reads);
  CHECK(clock.sleeps() == 0);
}

TEST_CASE("an uncontended lock that BaseLock keeps threads apart for allocates nothing after its first use", "[base_lock][cost]") {
  FreeLock lock{Threads::one_at_a_time, {.timeout = 10s}};
  lock.acquire();
  lock.release();
  const long before = allocations;
  for (int i = 0; i < 100; ++i) {
    lock.acquire();
    lock.release();
    if (lock.try_acquire()) lock.unlock();
  }
  const long made = allocations - before;
  CHECK(made == 0);
}

TEST_CASE("the counter counts", "[cost]") {
  const long before = allocations;
  ::operator delete(::operator new(1));  // a new-expression the compiler may leave out
  const long made = allocations - before;
  CHECK(made == 1);
}

TEST_CASE("a lock starts no thread and keeps no descriptor of its own", "[base_lock][cost]") {
  const auto threads = support::threads();
  const auto descriptors = support::open_descriptors();
  FreeLock lock{Threads::one_at_a_time};
  lock.acquire();
  CHECK(support::threads() == threads);
  CHECK(support::open_descriptors() == descriptors);
}
