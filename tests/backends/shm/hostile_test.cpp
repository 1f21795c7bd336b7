// SPDX-License-Identifier: MIT
// What stands in a segment may be anybody's invention: another version's, a bug's, a hostile program's of our own user. And numbers go round.
// Random bytes everywhere, under a reader: tests/fuzz.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/key.hpp"
#include "ground.hpp"
#include "local/companion.hpp"
#include "local/fence.hpp"
#include "local/presence.hpp"
#include "local/table.hpp"
#include "local/word.hpp"

using namespace ground;
using namespace sherlock::local;
namespace gate = sherlock::local::gate;

namespace {

// The segment as somebody has it who keeps no rules.
class Intruder {
 public:
  explicit Intruder(const Ground& ground)
      : directory_{::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC)},
        companion_{Companion::open({directory_.get(), ground.segment.c_str(), ground.path})} {}

  Companion& companion() const { return *companion_; }
  Found find(const std::string& name = "x") const { return Table{*companion_}.find(KeyHash::of(sherlock::detail::make_key("", name))); }
  Entry& entry(const std::string& name = "x") const { return *find(name).entry; }

 private:
  const posix::UniqueFd directory_;
  const std::unique_ptr<Companion> companion_;
};

constexpr std::uint64_t kRound = gate::kTagMask + 1;

// As if so many grants had passed that the next one has this fence; nobody holds it.
void turn_to(Entry& entry, std::uint64_t next_fence) {
  entry.fence.store(next_fence - kRound / 8);
  entry.word.store(gate::make(GateState::free, {}, gate::tag(next_fence - 1)));
}

}  // namespace

TEST_CASE("a hold that is late by a whole round of the tag does not release its successor", "[shm]") {
  const bool renews = GENERATE(false, true);
  const Ground ground;
  auto late = ground.lock("x", {.expire = 1ms}), next = ground.lock("x", {.timeout = kPatience}), other = ground.lock();
  late.acquire();
  next.acquire();
  const std::uint64_t fence = next.fence() - 1;  // late's: its lease may have been over before it could be asked
  next.release();
  const Intruder intruder{ground};
  turn_to(intruder.entry(), fence + kRound);
  next.acquire();  // in this very process, with the same tag: the same word
  REQUIRE(next.fence() == fence + kRound);
  if (renews)
    CHECK_FALSE(late.renew());
  else
    CHECK_THROWS_AS(late.release(), LockLostException);
  CHECK_FALSE(other.try_acquire());
  CHECK(next.renew());
  CHECK_NOTHROW(next.release());
}

TEST_CASE("fences go on when the tag of the word begins anew, with leases and without", "[shm]") {
  const Duration expire = GENERATE(as<Duration>{}, never, 1h);
  const Ground ground;
  auto lock = ground.lock("x", {.expire = expire});
  lock.acquire();
  std::uint64_t last = lock.fence();
  lock.release();
  const Intruder intruder{ground};
  turn_to(intruder.entry(), (last / kRound + 1) * kRound - 3);
  for (int i = 0; i < 8; ++i) {
    lock.acquire();
    CHECK(lock.fence() > last);
    if (i > 0) CHECK(lock.fence() == last + 1);
    last = lock.fence();
    CHECK(lock.holder()->fence == last);
    CHECK(lock.renew());
    lock.release();
  }
}

TEST_CASE("holders that die between their grant and its record leave the fences in order", "[shm][process]") {
  const Ground ground;
  auto lock = ground.lock();
  lock.acquire();
  const std::uint64_t fence = lock.fence();
  lock.release();
  const Intruder intruder{ground};
  Entry& entry = intruder.entry();
  // A hundred grants of which nothing but the word is left, the last one's owner dead.
  entry.word.store(gate::make(GateState::held, Identity{4095, 1}, gate::tag(fence + 100)));
  REQUIRE(lock.try_acquire());
  CHECK(lock.abandoned());
  CHECK(lock.fence() == fence + 101);
}

TEST_CASE("a word that no honest user writes is nobody's lock for ever", "[shm]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = 50ms});
  lock.acquire();
  lock.release();
  const Intruder intruder{ground};
  Entry& entry = intruder.entry();
  const std::uint64_t some_tag = 12345;
  for (std::uint64_t state = 0; state < 8; ++state)
    for (const std::uint64_t flags : {std::uint64_t{0}, gate::kQueue, gate::kHeir, gate::kAsleep, gate::kHeirFlags, gate::kFlags}) {
      CAPTURE(state, flags);
      // Of a process that is not there.
      entry.word.store(state << gate::kStateShift | std::uint64_t{77} << gate::kSlotShift | flags | some_tag);
      entry.heir_id.store(77);
      (void)lock.locked();
      (void)lock.holder();
      (void)ShmLock::list(ground.segment);
      if (state <= 4) {
        CHECK(lock.try_acquire());
        CHECK_NOTHROW(lock.release());
      } else {
        CHECK_FALSE(lock.try_acquire());  // not understood: whoever writes that may hold it
        CHECK_THROWS_AS(lock.acquire(), LockTimeoutException);
      }
    }
}

TEST_CASE("no end of a lease that stands in the segment ends a hold that has none, or crashes who looks", "[shm][process]") {
  const Ground ground;
  Pipe ready;
  Child holder{[&] {
    auto lock = ground.lock();
    lock.acquire();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  auto lock = ground.lock("x", {.timeout = 1ms});
  const Intruder intruder{ground};
  Entry& entry = intruder.entry();
  const std::uint64_t tag = gate::tag(entry.word.load()) & 0xffff;
  for (const std::uint64_t micros : {std::uint64_t{0}, std::uint64_t{1}, (std::uint64_t{1} << 48) - 1})
    for (const std::uint64_t of : {tag, (tag + 2) & 0xffff, (tag - 1) & 0xffff}) {
      if (of == tag && micros == 1) continue;  // that one is: its own record, over
      entry.expiry.store(micros << 16 | of);
      entry.since.store(micros == 0 ? 0x7fffffffffffffff : 0x8000000000000000);
      CAPTURE(micros, of);
      CHECK_FALSE(lock.try_acquire());
      (void)lock.holder();
      CHECK_THROWS_AS(lock.acquire(), LockTimeoutException);  // whose text says since when
    }
}

TEST_CASE("whatever stands in the life word of a holder, its release and its death are noticed", "[shm][process]") {
  const Ground ground;
  { auto makes_the_segment = ground.lock(); }
  for (const std::uint32_t life : {0u, 1u, ~0u, 0x40000000u, 0x80000000u, 0x3fffffffu, static_cast<std::uint32_t>(::getpid())})
    for (const bool dies : {false, true}) {
      CAPTURE(life, dies);
      Pipe ready, go;
      Child holder{[&] {
        auto lock = ground.lock();
        lock.acquire();
        ready.tell();
        if (!go.hear()) return 1;
        lock.release();
        return 0;
      }};
      REQUIRE(ready.hear());
      Child waiter{[&] {
        auto lock = ground.lock("x", {.timeout = kPatience, .retry_interval = 1h});
        lock.acquire();
        const bool abandoned = lock.abandoned();
        lock.release();
        return abandoned == dies ? 0 : 1;
      }};
      const auto look = ground.lock();
      REQUIRE(eventually([&] { return look.holder()->waiting == std::uint64_t{1}; }));
      const Intruder intruder{ground};
      Slot& slot = intruder.companion().slot(gate::slot(intruder.entry().word.load()));
      reinterpret_cast<Word&>(slot.life).store(life);
      if (dies)
        holder.kill();
      else
        go.tell();
      CHECK(waiter.wait() == Exit{0, 0});
    }
}

TEST_CASE("whatever stands in the place of a process, it goes on locking", "[shm][process]") {
  const Ground ground;
  Child child{[&] {
    auto lock = ground.lock("x", {.expire = 1h}), other = ground.lock();
    lock.acquire();
    const Intruder intruder{ground};
    Slot& slot = intruder.companion().slot(gate::slot(intruder.entry().word.load()));
    for (const int byte : {0x00, 0xff, 0x80, 0x01, 0x10, 0x20, 0xa5}) {
      std::fill_n(reinterpret_cast<unsigned char*>(&slot.life), sizeof slot.life, static_cast<unsigned char>(byte));
      std::fill_n(slot.program, sizeof slot.program, static_cast<char>(byte));
      std::fill_n(slot.host, sizeof slot.host, static_cast<char>(byte));
      if (other.try_acquire()) return 1;
      if (other.try_acquire_for(2ms)) return 2;
      if (!lock.renew() || !lock.holder()) return 3;
      lock.release();
      lock.acquire();
    }
    lock.release();
    return 0;
  }};
  CHECK(child.wait() == Exit{0, 0});
}

TEST_CASE("a queue of waiters that are not there keeps nobody from the lock for long", "[shm]") {
  const Ground ground;
  auto lock = ground.lock("x", {.timeout = kPatience}), holder = ground.lock();
  holder.acquire();
  holder.release();
  const Intruder intruder{ground};
  Entry& entry = intruder.entry();
  for (const std::uint64_t heir : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
    entry.word.store(gate::with(entry.word.load(), GateState::reserved) | gate::kFlags);
    entry.heir_id.store(heir);
    entry.elder_count.store(~0u);
    lock.acquire();
    CHECK_NOTHROW(lock.release());
  }
}
