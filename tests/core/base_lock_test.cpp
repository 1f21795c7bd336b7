// SPDX-License-Identifier: MIT
// The table of verbs in docs/contract.md, row by row, for stores that BaseLock keeps threads apart for, and for those that do so
// themselves. What is about time, loss, threads, processes and texts has files of its own beside this one.
#include <sherlock/base_lock.hpp>

#include <cerrno>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "catch.hpp"
#include "support/fake_clock.hpp"
#include "test_lock.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::FakeClock;
using Threads = TestLock::Threads;

namespace {

// Runs one acquiring verb. Whether it was granted; "timeout" where it throws that.
enum class Answer { granted, refused, timed_out };

template <class Call>
Answer answer_of(Call call) {
  try {
    return call() ? Answer::granted : Answer::refused;
  } catch (const LockTimeoutException&) {
    return Answer::timed_out;
  }
}

struct Verb {
  const char* name;
  Answer when_busy;
  bool waits;
  Answer (*call)(BaseLock&);
};

const Verb kAcquiring[] = {
    {"acquire", Answer::timed_out, true, [](BaseLock& l) { return answer_of([&] { return l.acquire(), true; }); }},
    {"acquire(stop)", Answer::timed_out, true, [](BaseLock& l) { return answer_of([&] { return l.acquire(std::stop_token{}), true; }); }},
    {"lock", Answer::timed_out, true, [](BaseLock& l) { return answer_of([&] { return l.lock(), true; }); }},
    {"try_acquire", Answer::refused, false, [](BaseLock& l) { return answer_of([&] { return l.try_acquire(); }); }},
    {"try_lock", Answer::refused, false, [](BaseLock& l) { return answer_of([&] { return l.try_lock(); }); }},
    {"try_acquire_for", Answer::refused, true, [](BaseLock& l) { return answer_of([&] { return l.try_acquire_for(2s); }); }},
    {"try_lock_for", Answer::refused, true, [](BaseLock& l) { return answer_of([&] { return l.try_lock_for(2s); }); }},
};

// The standard's one way to a private member: an explicit instantiation may name it. For what would take four billion acquires.
template <class Tag, auto Member>
struct Opened {
  friend auto member(Tag) { return Member; }
};
struct OwnerNumber {
  friend auto member(OwnerNumber);
};
template struct Opened<OwnerNumber, &BaseLock::hold_>;

}  // namespace

TEST_CASE("a free lock is granted by every acquiring verb, at the first try, without waiting", "[base_lock]") {
  for (const Threads threads : kBoth)
    for (const Verb& verb : kAcquiring) {
      CAPTURE(verb.name, static_cast<int>(threads));
      const FakeClock clock;
      TestStore store;
      TestLock lock{store, {}, threads};
      CHECK(verb.call(lock) == Answer::granted);
      CHECK(lock.held());
      CHECK(store.acquires == 1);
      CHECK(store.waits == 0);
      CHECK(clock.sleeps() == 0);
      lock.release();
      CHECK_FALSE(store.taken());
    }
}

TEST_CASE("a lock that somebody else holds: waiting verbs wait as long as they may, the others do not", "[base_lock]") {
  for (const Threads threads : kBoth)
    for (const Verb& verb : kAcquiring) {
      CAPTURE(verb.name, static_cast<int>(threads));
      const FakeClock clock;
      TestStore store;
      store.take_by_stranger();
      TestLock lock{store, {.timeout = 2s}, threads};
      const auto before = clock.monotonic();
      CHECK(verb.call(lock) == verb.when_busy);
      CHECK(clock.monotonic() - before == (verb.waits ? 2s : 0s));
      CHECK_FALSE(lock.held());
      CHECK(store.taken());
    }
}

TEST_CASE("a lock that this object holds is refused to it too, and stays held", "[base_lock]") {
  for (const Threads threads : kBoth)
    for (const Verb& verb : kAcquiring) {
      CAPTURE(verb.name, static_cast<int>(threads));
      const FakeClock clock;
      TestStore store;
      TestLock lock{store, {.timeout = 2s}, threads};
      lock.acquire();
      const auto fence = lock.fence();
      const auto before = clock.monotonic();
      CHECK(verb.call(lock) == verb.when_busy);
      CHECK(clock.monotonic() - before == (verb.waits ? 2s : 0s));
      CHECK(lock.held());
      CHECK(lock.fence() == fence);
      lock.release();
      CHECK_FALSE(store.taken());
    }
}

TEST_CASE("a lock whose lease has gone is acquired anew, with a larger fence", "[base_lock]") {
  for (const Threads threads : kBoth)
    for (const Verb& verb : kAcquiring)
      for (const bool renew_saw_it : {false, true}) {
        CAPTURE(verb.name, static_cast<int>(threads), renew_saw_it);
        FakeClock clock;
        TestStore store;
        TestLock lock{store, {.expire = 10s, .timeout = 2s}, threads};
        lock.acquire();
        const auto fence = lock.fence();
        clock.advance(11s);
        if (renew_saw_it) REQUIRE_FALSE(lock.renew());
        CHECK(verb.call(lock) == Answer::granted);
        CHECK(lock.held());
        CHECK(lock.fence() > fence);
        CHECK_NOTHROW(lock.release());
      }
}

TEST_CASE("a store that fails is an error of every verb that asks it, never `false`", "[base_lock]") {
  for (const Threads threads : kBoth) {
    const FakeClock clock;
    TestStore store;
    store.on_acquire = store.on_look = [](const Claim&) { throw std::system_error{ENOSPC, std::generic_category(), "cannot write"}; };
    TestLock lock{store, {.timeout = 2s}, threads};
    for (const Verb& verb : kAcquiring) {
      CAPTURE(verb.name);
      CHECK_THROWS_AS(verb.call(lock), BackendException);
      CHECK_FALSE(lock.held());
    }
    CHECK(clock.sleeps() == 0);
    CHECK_THROWS_AS(lock.locked(), BackendException);
    CHECK_THROWS_AS(lock.holder(), BackendException);

    store.on_acquire = nullptr;  // what failed can be tried again
    CHECK(lock.try_acquire());

    store.on_renew = store.on_release = store.on_look;
    CHECK_THROWS_AS(lock.renew(), BackendException);
    CHECK(lock.held());
    CHECK_THROWS_AS(lock.release(), BackendException);
    CHECK(lock.held());
    store.on_renew = store.on_release = nullptr;
    CHECK(lock.renew());
    CHECK_NOTHROW(lock.release());
    CHECK_FALSE(store.taken());
  }
}

TEST_CASE("a store that fails while somebody waits is an error at once", "[base_lock]") {
  const Threads threads = GENERATE(Threads::one_at_a_time, Threads::store_excludes);
  CAPTURE(static_cast<int>(threads));
  const FakeClock clock;
  TestStore store;
  store.take_by_stranger();
  TestLock lock{store, {.timeout = 1h}, threads};
  SECTION("in the try after the sleep") {
    store.on_acquire = [&](const Claim&) {
      if (store.acquires == 3) throw std::runtime_error{"gone"};
    };
  }
  SECTION("in the sleep") {
    store.on_wait = [&](const Claim&) {
      if (store.waits == 3) throw std::runtime_error{"gone"};
    };
  }
  CHECK_THROWS_AS(lock.acquire(), BackendException);
  store.on_wait = store.on_acquire = nullptr;
  store.free();
  CHECK(lock.try_acquire());
}

TEST_CASE("what was never acquired, or was released, cannot be released or renewed", "[base_lock]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    TestLock lock{store, {}, threads};
    for (int round = 0; round < 2; ++round) {
      CHECK_THROWS_AS(lock.release(), LockNotHeldException);
      CHECK_THROWS_AS(lock.renew(), LockNotHeldException);
      CHECK_THROWS_AS(lock.fence(), LockNotHeldException);
      CHECK_THROWS_AS(lock.abandoned(), LockNotHeldException);
      CHECK_FALSE(lock.held());
      lock.unlock();
      CHECK(store.releases == round);
      CHECK(store.renews == 0);
      if (round == 0) {
        lock.acquire();
        lock.release();
      }
    }
  }
}

TEST_CASE("only the owner releases and renews: an object does not touch what another one holds", "[base_lock]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    TestLock mine{store, {}, threads}, other{store, {}, threads};
    mine.acquire();
    CHECK_THROWS_AS(other.release(), LockNotHeldException);
    CHECK_THROWS_AS(other.renew(), LockNotHeldException);
    other.unlock();
    CHECK(mine.held());
    CHECK(store.taken());
    CHECK_FALSE(other.try_acquire());
  }
}

TEST_CASE("a lock can be used again and again, each hold under a name of its own", "[base_lock]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    store.keep_attempts = true;
    TestLock a{store, {}, threads}, b{store, {}, threads};
    std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
    std::uint64_t fence = 0;
    for (int i = 0; i < 100; ++i) {
      TestLock& lock = i % 3 ? a : b;
      lock.acquire();
      CHECK(lock.fence() > fence);
      fence = lock.fence();
      if (i % 2)
        lock.release();
      else
        lock.unlock();
    }
    for (const Owner& owner : store.owners_asked) seen.insert({owner.process, owner.hold});
    CHECK(seen.size() == 100);
    CHECK(seen.begin()->first != 0);
  }
}

TEST_CASE("a lock is released as well after four billion holds", "[base_lock]") {
  for (const Threads threads : kBoth) {
    TestStore store;
    store.keep_attempts = true;
    TestLock lock{store, {}, threads};
    auto& number = lock.*member(OwnerNumber{});
    number = ((number >> 2 | 0xffffffffull) - 3) << 2;  // the number of the last hold; below it, the state
    std::uint64_t last = 0;
    for (int i = 0; i < 8; ++i) {
      REQUIRE(lock.try_acquire());
      CHECK(lock.renew());
      CHECK_NOTHROW(lock.release());
      REQUIRE_FALSE(store.taken());
      CHECK(store.owners_asked.back().hold > last);
      last = store.owners_asked.back().hold;
    }
  }
}

TEST_CASE("renew is true for a hold without an expiry, as long as the store says so", "[base_lock]") {
  TestStore store;
  TestLock lock{store};
  lock.acquire();
  CHECK(lock.renew());
  CHECK(store.renews == 1);
  store.free();  // somebody removed the store
  CHECK_FALSE(lock.renew());
}

TEST_CASE("renew moves the expiry to now + expire", "[base_lock]") {
  FakeClock clock;
  TestStore store;
  TestLock lock{store, {.expire = 10s}};
  lock.acquire();
  clock.advance(9s);
  CHECK(lock.renew());
  clock.advance(9s);
  CHECK(lock.held());
  CHECK(store.ends == clock.boottime() + 1s);
  clock.advance(1s);
  CHECK_FALSE(lock.held());
}

TEST_CASE("locked is what the store says, held is what this object has, and asks nobody", "[base_lock]") {
  TestStore store;
  TestLock mine{store}, other{store};
  CHECK_FALSE(mine.locked());
  mine.acquire();
  CHECK(mine.locked());
  CHECK(other.locked());
  const int looks = store.looks;
  CHECK(mine.held());
  CHECK_FALSE(other.held());
  CHECK(mine.fence() == store.fence);
  CHECK_FALSE(mine.abandoned());
  CHECK(store.looks == looks);
}

TEST_CASE("holder is what the store knows, for whoever asks", "[base_lock]") {
  TestStore store;
  const TestLock lock{store};
  CHECK_FALSE(lock.holder());
  store.take_by_stranger({.pid = 4242, .program = "backup"});
  REQUIRE(lock.holder());
  CHECK(lock.holder()->pid == 4242);
  CHECK(lock.holder()->program == "backup");
}

TEST_CASE("the successor of a hold that ran out is told so, the successor of a good release is not", "[base_lock]") {
  FakeClock clock;
  TestStore store;
  TestLock first{store, {.expire = 10s}}, second{store, {.expire = 10s}}, third{store};
  first.acquire();
  clock.advance(11s);
  second.acquire();
  CHECK(second.abandoned());
  second.release();
  third.acquire();
  CHECK_FALSE(third.abandoned());
}

TEST_CASE("the claim says what is asked for, and why", "[base_lock]") {
  const FakeClock clock;
  TestStore store;
  int asked = 0;
  const auto look = [&](const Claim& claim) {
    ++asked;
    CHECK(claim.name == "nightly");
    CHECK(claim.ns == "shop");
    CHECK(claim.label == "full dump");
    CHECK(claim.expire == Duration{30s});
  };
  std::string key;
  store.on_acquire = store.on_release = store.on_renew = store.on_look = [&](const Claim& claim) {
    look(claim);
    CHECK(claim.key == key);
  };
  TestLock lock{store, {.ns = "shop", .expire = 30s, .label = "full dump"}, Threads::one_at_a_time, "nightly"};
  key = lock.key();
  lock.acquire();
  CHECK(lock.renew());
  CHECK(lock.locked());
  lock.release();
  CHECK(asked == 4);
}

TEST_CASE("release and renew name the hold that was granted, by owner and fence", "[base_lock]") {
  TestStore store;
  std::optional<Owner> granted;
  store.on_acquire = [&](const Claim& claim) { granted = claim.owner; };
  store.on_release = store.on_renew = [&](const Claim& claim) {
    CHECK(claim.owner == granted);
    CHECK(claim.fence == store.fence);
  };
  TestLock lock{store};
  for (int i = 0; i < 3; ++i) {
    lock.acquire();
    CHECK(lock.renew());
    lock.release();
  }
  CHECK(store.releases == 3);
}

TEST_CASE("a lock says what it was made of", "[base_lock]") {
  TestStore store;
  const TestLock lock{
      store, {.ns = "shop", .expire = 30s, .timeout = 5s, .retry_interval = 1s, .label = "x"}, Threads::one_at_a_time, "nightly"};
  CHECK(lock.name() == "nightly");
  CHECK(lock.ns() == "shop");
  CHECK(lock.key().starts_with("nightly-"));
  CHECK(lock.label() == "x");
  CHECK(lock.backend() == "test");
  CHECK(lock.expire() == Duration{30s});
  CHECK(lock.timeout() == Duration{5s});
  CHECK(lock.retry_interval() == Duration{1s});
  CHECK(lock.inheritable().empty());
}

TEST_CASE("a lock is let go when it is destroyed, and when a scope is left by an exception", "[base_lock]") {
  TestStore store;
  { TestLock{store}.acquire(); }
  CHECK_FALSE(store.taken());

  try {
    TestLock lock{store};
    lock.acquire();
    throw std::runtime_error{"the work failed"};
  } catch (const std::runtime_error& e) {
    CHECK(std::string{e.what()} == "the work failed");
  }
  CHECK_FALSE(store.taken());
  CHECK(store.releases == 2);
}

TEST_CASE("destroying a lock that is not held asks the store nothing", "[base_lock]") {
  TestStore store;
  { const TestLock lock{store}; }
  {
    TestLock lock{store};
    lock.acquire();
    lock.release();
  }
  CHECK(store.releases == 1);
}
