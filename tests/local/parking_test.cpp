// SPDX-License-Identifier: MIT
#include "local/parking.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "contender.hpp"
#include "playground.hpp"
#include "posix/futex.hpp"
#include "support/fault_script.hpp"

using namespace playground;
using namespace std::chrono_literals;
using support::Child;
using support::Exit;
using support::FaultScript;
using support::Pipe;
using support::Syscalls;

namespace {

// From now on nobody in this process wakes up by himself: a wake that gets lost is lost for good.
void sleep_until_woken(FaultScript& script) {
  script.replace<&Syscalls::futex_waitv>([](void* waiters, unsigned count, const timespec*) {
    const timespec in_an_hour = sherlock::posix::as_timespec(sherlock::real_clock().monotonic() + 1h);
    return sherlock::posix::real_syscalls().futex_waitv(waiters, count, &in_an_hour);
  });
}

// A process that waits for the gate, tells when it has it, and lets go when it is told to.
class Waiting {
 public:
  explicit Waiting(const Playground& ground, bool only_when_woken = false)
      : child_{[this, &ground, only_when_woken] {
          const auto companion = ground.open();
          Contender contender{*companion};
          FaultScript script;
          if (only_when_woken) sleep_until_woken(script);
          *from_ = contender.wait();
          has_it.tell();
          if (!go.hear()) return 1;
          return contender.release() ? 0 : 2;
        }} {}
  Taking from() const { return *from_; }
  Child& process() { return child_; }
  bool finish() {
    go.tell();
    return child_.wait() == Exit{0, 0};
  }

  Pipe has_it, go;

 private:
  Shared<Taking> from_;
  Child child_;
};

bool asleep_as_heir(const Contender& gate) { return eventually([&] { return (gate.word() & gate::kAsleep) != 0; }); }
bool has_waited_long(const Contender& gate) { return eventually([&] { return gate.heir_has_slept_since(sherlock::clock().monotonic() - 1ms); }); }

}  // namespace

TEST_CASE("a free gate is taken at once, and nobody who asks gets it a second time", "[parking]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender a{*companion}, b{*companion};
  CHECK(a.try_once() == Taking::free);
  CHECK(a.state() == GateState::held);
  CHECK_FALSE(b.try_once());
  CHECK_FALSE(b.wait_once(sherlock::clock().monotonic()));
  b.leave();
  CHECK(a.release());
  CHECK(a.state() == GateState::free);
  CHECK(b.try_once(Precedence::respected) == Taking::free);
  CHECK(b.release());
  CHECK(gate::flags(a.word()) == 0);
}

TEST_CASE("who has lost the gate cannot pass it on", "[parking]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender a{*companion}, b{*companion};
  REQUIRE(a.try_once());
  a.entry().word.store(gate::make(GateState::free, {}, 77));
  REQUIRE(b.try_once());
  const std::uint64_t word = b.word();
  CHECK_FALSE(a.release());
  CHECK(b.word() == word);
  CHECK(b.release());
}

TEST_CASE("a gate is taken from the dead, whatever they were doing, and from no living one", "[parking][process]") {
  const Playground ground;
  const auto companion = ground.open();
  for (const auto& [state, taking] : {std::pair{GateState::held, Taking::dead}, std::pair{GateState::acquiring, Taking::dead},
                                      std::pair{GateState::foreign, Taking::wait_over}}) {
    Pipe ready;
    Child owner{[&, state = state] {
      const auto mine = ground.open();
      Contender contender{*mine};
      if (!contender.try_once()) return 1;
      contender.entry().word.store(gate::with(contender.word(), state));
      ready.tell();
      Child::sleep();
      return 0;
    }};
    REQUIRE(ready.hear());
    Contender contender{*companion};
    CHECK_FALSE(contender.try_once());
    owner.stop();
    CHECK_FALSE(contender.try_once());
    owner.kill();
    CHECK(contender.try_once() == taking);
    CHECK(contender.release());
  }
}

TEST_CASE("a lease is over when its time has come, by the record of this hold only", "[parking]") {
  const Playground ground;
  const auto companion = ground.open();
  Entry& entry = *Table{*companion}.find_or_make(scattered_key(1), "", "x").entry;
  const std::uint64_t word = gate::make(GateState::held, companion->presence().me(), 1000);
  const auto record = [](std::uint64_t micros, std::uint64_t tag) { return micros << 16 | (tag & 0xffff); };
  entry.expiry.store(record(500, 1000));
  CHECK_FALSE(expired(entry, word, 499us));
  CHECK(expired(entry, word, 500us));
  CHECK(expired(entry, word, 1h));
  entry.expiry.store(record(500, 1001));  // a renewal that is just being written
  CHECK_FALSE(expired(entry, word, 499us));
  CHECK(expired(entry, word, 500us));
  for (const std::uint64_t other : {999, 1002, 1000 + 0x8000}) {
    entry.expiry.store(record(500, other));
    CHECK_FALSE(expired(entry, word, 1h));
  }
  entry.expiry.store(record(0, 1000));  // never
  CHECK_FALSE(expired(entry, word, 1000h));
}

TEST_CASE("an expired lease can be taken from the living, one that never expires cannot", "[parking]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender a{*companion}, b{*companion};
  REQUIRE(a.try_once());
  CHECK_FALSE(b.try_once());
  a.entry().expiry.store(std::uint64_t{1} << 16 | gate::tag(a.word()));
  CHECK(b.try_once() == Taking::expired);
  CHECK_FALSE(a.mine());
  CHECK_FALSE(a.release());
  CHECK(b.mine());
}

TEST_CASE("a release wakes the heir", "[parking][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion};
  REQUIRE(holder.try_once());
  Waiting heir{ground, true};
  REQUIRE(asleep_as_heir(holder));
  CHECK(holder.release());
  CHECK(heir.has_it.hear());
  CHECK(heir.from() == Taking::free);
  CHECK(heir.finish());
  CHECK(gate::flags(holder.word()) == 0);
  CHECK(holder.entry().heir_id.load() == 0);
}

TEST_CASE("a lock handed from one waiter to the next needs no wake that nobody sends", "[parking][process]") {
  constexpr int kProcesses = 6, kEach = 100;
  struct Board {
    std::atomic<int> inside{0}, overlaps{0};
  };
  const Playground ground;
  const auto companion = ground.open();
  const Shared<Board> board;
  Contender holder{*companion};
  REQUIRE(holder.try_once());
  std::vector<Child> children;
  for (int p = 0; p < kProcesses; ++p)
    children.emplace_back([&] {
      const auto mine = ground.open();
      Contender contender{*mine};
      FaultScript script;
      sleep_until_woken(script);
      for (int i = 0; i < kEach; ++i) {
        contender.wait();
        if (board->inside.exchange(1) != 0) ++board->overlaps;
        if (i % 3 == 0) sched_yield();
        board->inside.store(0);
        if (!contender.release()) return 1;
      }
      return 0;
    });
  REQUIRE(asleep_as_heir(holder));
  CHECK(holder.release());
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  CHECK(board->overlaps.load() == 0);
  CHECK(gate::flags(holder.word()) == 0);
  CHECK(WaitCells{*companion}.count(holder.found().number) == 0);
}

TEST_CASE("the same among threads", "[parking]") {
  constexpr int kThreads = 4, kEach = 200;
  const Playground ground;
  const auto companion = ground.open();
  FaultScript script;
  sleep_until_woken(script);
  int inside = 0, total = 0;  // the gate is what keeps the threads off each other here
  std::atomic<int> overlaps{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      Contender contender{*companion};
      for (int i = 0; i < kEach; ++i) {
        contender.wait();
        if (inside++ != 0) ++overlaps;
        ++total;
        --inside;
        contender.release();
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(overlaps.load() == 0);
  CHECK(total == kThreads * kEach);
}

TEST_CASE("an heir that has waited for long has the lock kept for it, against those who wait but not against those who try", "[parking][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion}, newcomer{*companion};
  REQUIRE(holder.try_once());
  Waiting heir{ground};
  REQUIRE(has_waited_long(holder));
  heir.process().stop();
  CHECK(holder.release());
  CHECK(holder.state() == GateState::reserved);
  CHECK_FALSE(newcomer.try_once(Precedence::respected));
  CHECK(newcomer.try_once(Precedence::ignored) == Taking::free);
  CHECK(newcomer.release());
  heir.process().resume();
  CHECK(heir.has_it.hear());
  CHECK(heir.finish());
}

TEST_CASE("an heir that was called before the release has the lock when it comes", "[parking][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion}, newcomer{*companion};
  REQUIRE(holder.try_once());
  CHECK(holder.call() == Heir::not_called);  // nobody is there
  Waiting heir{ground};

  SECTION("where it comes after the release, which keeps the lock for it") {
    REQUIRE(has_waited_long(holder));
    heir.process().stop();
    CHECK(holder.call() == Heir::called);
    CHECK(holder.mine());
    CHECK(holder.state() == GateState::acquiring);
    CHECK(holder.release());
    CHECK(holder.state() == GateState::reserved);
    CHECK_FALSE(newcomer.try_once(Precedence::respected));
    heir.process().resume();
  }
  SECTION("where it comes before the release, and falls asleep again") {
    REQUIRE(asleep_as_heir(holder));
    CHECK(holder.call() == Heir::called);
    CHECK_FALSE(newcomer.try_once());
    REQUIRE(asleep_as_heir(holder));
    CHECK(holder.release());
  }
  CHECK(heir.has_it.hear());
  CHECK(heir.finish());
  CHECK(gate::flags(holder.word()) == 0);
}

TEST_CASE("an heir that was called by one who died then has the lock of the dead", "[parking][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Pipe ready, go;
  Child holder{[&] {
    const auto mine = ground.open();
    Contender contender{*mine};
    if (!contender.try_once()) return 1;
    ready.tell();
    if (!go.hear() || contender.call() != Heir::called) return 1;
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  Contender look{*companion};
  Waiting heir{ground};
  REQUIRE(asleep_as_heir(look));
  go.tell();
  REQUIRE(ready.hear());
  holder.kill();
  CHECK(heir.has_it.hear());
  CHECK(heir.from() == Taking::dead);
  CHECK(heir.finish());
}

TEST_CASE("what is kept for a stopped heir is not kept for long", "[parking][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion}, next{*companion};
  REQUIRE(holder.try_once());
  Waiting heir{ground};
  REQUIRE(has_waited_long(holder));
  heir.process().stop();
  CHECK(holder.release());
  CHECK(next.wait() == Taking::free);
  CHECK(next.mine());
  CHECK(next.release());
  // And the heir, when it goes on, gets its turn.
  heir.process().resume();
  CHECK(heir.has_it.hear());
  CHECK(heir.finish());
  CHECK(gate::flags(holder.word()) == 0);
}

TEST_CASE("a dead heir's seat and lock go to the next in the queue", "[parking][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion};
  REQUIRE(holder.try_once());
  Waiting heir{ground};
  REQUIRE(has_waited_long(holder));
  const std::uint64_t dead = holder.entry().heir_id.load();
  REQUIRE(dead != 0);
  Waiting second{ground};
  REQUIRE(eventually([&] { return (holder.word() & gate::kQueue) != 0; }));
  heir.process().kill();

  SECTION("while somebody has the lock") {
    CHECK(eventually([&] { return holder.entry().heir_id.load() != dead; }));
    REQUIRE(has_waited_long(holder));
    CHECK(holder.release());
  }
  SECTION("while the lock is kept for the dead") {
    CHECK(holder.release());
  }
  CHECK(second.has_it.hear());
  CHECK(second.finish());
}

TEST_CASE("a waiter learns of the holder's death without asking again and again", "[parking][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Pipe ready;
  Child holder{[&] {
    const auto mine = ground.open();
    if (!Contender{*mine}.try_once()) return 1;
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  Contender look{*companion};
  Waiting heir{ground};
  REQUIRE(has_waited_long(look));
  holder.kill();
  CHECK(heir.has_it.hear());
  CHECK(heir.from() == Taking::dead);
  CHECK(heir.finish());

  // The same, where no look of its own can help it out: see sleep_until_woken.
  Child another{[&] {
    const auto mine = ground.open();
    if (!Contender{*mine}.try_once()) return 1;
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  Child sleeper{[&] {
    const auto mine = ground.open();
    Contender contender{*mine};
    FaultScript script;
    script.replace<&Syscalls::futex_waitv>([](void* waiters, unsigned count, const timespec* until) {
      // Three words: its own, the stop, and the life of the holder. The naps while the dying one is still present stay as they are.
      const timespec in_an_hour = sherlock::posix::as_timespec(sherlock::real_clock().monotonic() + 1h);
      return sherlock::posix::real_syscalls().futex_waitv(waiters, count, count == 3 ? &in_an_hour : until);
    });
    return contender.wait() == Taking::dead ? 0 : 1;
  }};
  REQUIRE(asleep_as_heir(look));
  another.kill();
  CHECK(sleeper.wait() == Exit{0, 0});
}

TEST_CASE("all who wait for a dead process's locks learn of it", "[parking][process]") {
  constexpr std::uint64_t kLocks = 5;
  const Playground ground;
  Pipe ready;
  Child holder{[&] {
    const auto mine = ground.open();
    for (std::uint64_t i = 0; i < kLocks; ++i)
      if (!Contender{*mine, i}.try_once()) return 1;
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  const auto companion = ground.open();
  std::vector<Child> waiters;
  for (std::uint64_t i = 0; i < kLocks; ++i) {
    waiters.emplace_back([&, i] {
      const auto mine = ground.open();
      Contender contender{*mine, i};
      FaultScript script;
      script.replace<&Syscalls::futex_waitv>([](void* words, unsigned count, const timespec* until) {
        const timespec in_an_hour = sherlock::posix::as_timespec(sherlock::real_clock().monotonic() + 1h);
        return sherlock::posix::real_syscalls().futex_waitv(words, count, count == 3 ? &in_an_hour : until);
      });
      return contender.wait() == Taking::dead ? 0 : 1;
    });
    REQUIRE(asleep_as_heir(Contender{*companion, i}));
  }
  holder.kill();
  for (Child& waiter : waiters) CHECK(waiter.wait() == Exit{0, 0});
}

TEST_CASE("a waiter that is told to stop leaves its place to the others", "[parking]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion}, look{*companion};
  REQUIRE(holder.try_once());
  std::stop_source stop;
  std::atomic<bool> granted{false};
  FaultScript script;
  sleep_until_woken(script);
  std::thread heir{[&] {
    Contender contender{*companion};
    while (!stop.stop_requested())
      if (contender.wait_once(nanoseconds::max(), stop.get_token())) granted = true;
    contender.leave();
  }};
  REQUIRE(asleep_as_heir(look));
  std::atomic<bool> second_has_it{false};
  std::thread second{[&] {
    Contender contender{*companion};
    contender.wait();
    second_has_it = true;
    contender.release();
  }};
  REQUIRE(eventually([&] { return (look.word() & gate::kQueue) != 0 && WaitCells{*companion}.count(look.found().number) == 2; }));
  stop.request_stop();
  heir.join();
  CHECK_FALSE(granted);
  REQUIRE(asleep_as_heir(look));  // the seat has been taken over
  CHECK(holder.release());
  second.join();
  CHECK(second_has_it);
  CHECK(gate::flags(look.word()) == 0);
  CHECK(WaitCells{*companion}.count(look.found().number) == 0);
}

TEST_CASE("an heir that leaves gives back what was kept for it", "[parking]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion}, heir{*companion};
  REQUIRE(holder.try_once());
  while (!holder.heir_has_slept_since(sherlock::clock().monotonic() - 1ms)) CHECK_FALSE(heir.wait_once(sherlock::clock().monotonic() + 2ms));
  CHECK(holder.release());
  REQUIRE(holder.state() == GateState::reserved);
  heir.leave();
  CHECK(holder.state() == GateState::free);
  CHECK(gate::flags(holder.word()) == 0);
  CHECK(holder.entry().heir_id.load() == 0);
}

TEST_CASE("waiting ends when its time has come", "[parking]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion}, waiter{*companion};
  REQUIRE(holder.try_once());
  const auto until = sherlock::clock().monotonic() + 20ms;
  while (sherlock::clock().monotonic() < until) CHECK_FALSE(waiter.wait_once(until));
  waiter.leave();
  CHECK(gate::flags(holder.word()) == 0);
}

TEST_CASE("who waits behind the heir asks nobody before its time has come: the heir does", "[parking]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion}, look{*companion};
  REQUIRE(holder.try_once());
  std::stop_source stop;
  std::thread heir{[&] {
    Contender contender{*companion};
    while (!stop.stop_requested()) contender.wait_once(nanoseconds::max(), stop.get_token());
    contender.leave();
  }};
  REQUIRE(asleep_as_heir(look));
  Contender second{*companion};
  const auto until = sherlock::clock().monotonic() + 200ms;  // some slices
  CHECK_FALSE(second.wait_once(until));
  CHECK(sherlock::clock().monotonic() >= until);
  second.leave();
  stop.request_stop();
  heir.join();
  CHECK(holder.release());
  CHECK(gate::flags(look.word()) == 0);
}

TEST_CASE("one of a crowd behind the heir looks less often than one of a few", "[parking][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion};
  REQUIRE(holder.try_once());
  Child heir{[&] {
    const auto mine = ground.open();
    Contender contender{*mine};
    contender.wait();
    return contender.release() ? 0 : 1;
  }};
  REQUIRE(asleep_as_heir(holder));
  Contender second{*companion};
  const auto sleeps_with = [&](std::uint32_t elders) {
    second.entry().elder_count = elders;
    FaultScript script;
    script.count<&Syscalls::futex_waitv>();
    second.wait_once(sherlock::clock().monotonic() + 650ms);
    second.leave();
    return script.calls<&Syscalls::futex_waitv>();
  };
  // One slice as everybody's, then four of three times that, and one to spare. A machine that stands still makes them fewer.
  CHECK(sleeps_with(1000) <= 6);
  CHECK(sleeps_with(~0u - 1) <= 6);  // what somebody else has written there
  CHECK(eventually([&] { return sleeps_with(0) > 6; }));
  CHECK(holder.release());
  CHECK(heir.wait() == Exit{0, 0});
}

TEST_CASE("waiting for an entry that is given to another key ends at once", "[parking]") {
  const Playground ground;
  const auto companion = ground.open();
  Contender holder{*companion}, waiter{*companion};
  REQUIRE(holder.try_once());
  Table{*companion}.forget(holder.found(), holder.word());
  CHECK_FALSE(holder.found().current());
  FaultScript script;
  sleep_until_woken(script);
  waiter.waiter.wait(*companion, waiter.found(), nanoseconds::max(), {});
  waiter.leave();
  CHECK(gate::flags(holder.word()) == 0);
}

TEST_CASE("where the kernel cannot wait for several words at once, waiters wait for one", "[parking][process]") {
  const Playground ground;
  const int error = GENERATE(ENOSYS, EPERM);
  const auto companion = ground.open();
  Contender holder{*companion};
  REQUIRE(holder.try_once());
  Child heir{[&] {
    const auto mine = ground.open();
    Contender contender{*mine};
    FaultScript script;
    script.fail<&Syscalls::futex_waitv>(error, 1, support::kAlways);
    contender.wait();
    return script.calls<&Syscalls::futex_waitv>() == 1 ? 0 : 1;
  }};
  REQUIRE(asleep_as_heir(holder));
  CHECK(holder.release());
  CHECK(heir.wait() == Exit{0, 0});
}

TEST_CASE("nobody sleeps for ever, however many are killed at whatever moment", "[parking][process]") {
  constexpr int kProcesses = 8, kKills = 150;
  struct Board {
    std::atomic<std::uint64_t> inside{0};  // who has it, 0: nobody
    std::atomic<int> overlaps{0}, over{0};
    std::atomic<std::uint64_t> total{0};
  };
  const Playground ground;
  const Shared<Board> board;
  const auto contend = [&](unsigned seed) {
    const auto companion = ground.open();
    Contender contender{*companion};
    std::minstd_rand random{seed};
    while (!board->over.load()) {
      std::optional<Taking> taken;
      if (random() % 4 == 0) {
        taken = contender.try_once();
      } else if (random() % 4 == 0) {
        taken = contender.wait_once(sherlock::clock().monotonic() + 1ms);
        if (!taken) contender.leave();
      } else {
        taken = contender.wait();
      }
      if (!taken) continue;
      if (board->inside.exchange(static_cast<std::uint64_t>(::getpid())) != 0 && *taken != Taking::dead) ++board->overlaps;
      ++board->total;
      if (random() % 4 == 0) sched_yield();
      if (random() % 64 == 0) std::this_thread::sleep_for(1ms);
      if (board->inside.exchange(0) != static_cast<std::uint64_t>(::getpid())) ++board->overlaps;
      if (!contender.release()) ++board->overlaps;
    }
    return 0;
  };
  std::minstd_rand random{99};
  std::vector<std::unique_ptr<Child>> children;
  for (unsigned i = 0; i < kProcesses; ++i) children.push_back(std::make_unique<Child>([&, i] { return contend(i + 1); }));
  for (unsigned kill = 0; kill < kKills; ++kill) {
    // Between two kills somebody gets on, or somebody sleeps for ever.
    const std::uint64_t before = board->total.load();
    REQUIRE(eventually([&] { return board->total.load() > before + random() % 20; }));
    auto& child = children[random() % children.size()];
    child->kill();
    child = std::make_unique<Child>([&, kill] { return contend(1000 + kill); });
  }
  board->over = 1;
  for (auto& child : children) CHECK(child->wait() == Exit{0, 0});
  CHECK(board->overlaps.load() == 0);

  // And all traces of the dead go with the next who come.
  const auto companion = ground.open();
  Contender last{*companion};
  last.wait();
  CHECK(last.release());
  CHECK(WaitCells{*companion}.count(last.found().number) == 0);
}

TEST_CASE("of many waiters who take turns each gets many", "[parking][process]") {
  constexpr int kProcesses = 6;
  struct Board {
    std::atomic<int> over{0};
    std::atomic<int> turns[kProcesses];
  };
  const Playground ground;
  const Shared<Board> board;
  std::vector<Child> children;
  for (int p = 0; p < kProcesses; ++p)
    children.emplace_back([&, p] {
      const auto companion = ground.open();
      Contender contender{*companion};
      while (!board->over.load()) {
        contender.wait();
        ++board->turns[p];
        std::this_thread::sleep_for(1ms);
        contender.release();
      }
      return 0;
    });
  const auto each_has_many = [&] {
    int sum = 0, least = std::numeric_limits<int>::max();
    for (const auto& turns : board->turns) {
      const int its = turns.load();
      sum += its;
      least = std::min(least, its);
    }
    return sum >= 400 && least >= sum / kProcesses / 4;
  };
  // Plain flock(2) gives some of them nothing at all here. One that the machine did not run for a while catches up.
  CHECK(eventually(each_has_many));
  board->over = 1;
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
}
