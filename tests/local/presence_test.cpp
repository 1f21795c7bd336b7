// SPDX-License-Identifier: MIT
#include "local/presence.hpp"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "core/failure.hpp"
#include "playground.hpp"
#include "support/says.hpp"

using namespace sherlock::local;
using namespace playground;
using support::Child;
using support::Exit;
using support::Pipe;
using support::says;

namespace {

// A process that was present; what it does besides is `life`.
class Somebody {
 public:
  template <class Life>
  Somebody(const Playground& ground, Life life)
      : child_{[this, &ground, life] {
          const auto companion = ground.open();
          *identity_ = companion->presence().me();
          return life(*companion, ready_);
        }} {
    REQUIRE(ready_.hear());
  }
  explicit Somebody(const Playground& ground)
      : Somebody{ground, [](Companion&, Pipe& ready) {
                   ready.tell();
                   Child::sleep();
                   return 0;
                 }} {}

  Identity identity() const { return *identity_; }
  Child& process() { return child_; }

 private:
  Shared<Identity> identity_;
  Pipe ready_;
  Child child_;
};

// Returns when the child is dead, which it remains: nobody has asked for it yet.
void await_zombie(pid_t pid) {
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
}

// Takes all places that nobody has but `spared` away, by hand.
class Crowd {
 public:
  Crowd(const Playground& ground, std::int64_t spared) : fd_{::open(ground.file().c_str(), O_RDWR | O_CLOEXEC)} {
    for (std::int64_t i = 0; i < kSlots; ++i) {
      struct flock lock {};
      lock.l_type = F_WRLCK;
      lock.l_whence = SEEK_SET;
      lock.l_start = kClaimByte + i;
      lock.l_len = 1;
      if (i != spared) taken_ += ::fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0;
    }
  }
  int taken() const { return taken_; }

 private:
  const sherlock::posix::UniqueFd fd_;
  int taken_ = 0;
};

}  // namespace

TEST_CASE("who is present is alive, for himself and for others", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  CHECK(companion->presence().alive(companion->presence().me()));
  CHECK(companion->presence().intact());
  Somebody other{ground};
  CHECK_FALSE(other.identity() == companion->presence().me());
  CHECK(companion->presence().alive(other.identity()));
  CHECK(companion->presence().alive(gate::make(GateState::held, other.identity(), 5)));
}

TEST_CASE("nobody, and who never was, is dead", "[presence]") {
  const Playground ground;
  const auto companion = ground.open();
  const Presence& presence = companion->presence();
  CHECK_FALSE(presence.alive(Identity{(presence.me().slot + 1) % kSlots, 0}));
  CHECK_FALSE(presence.alive(Identity{(presence.me().slot + 1) % kSlots, 12}));
  CHECK_FALSE(presence.alive(Identity{presence.me().slot, presence.me().generation + 1}));
  CHECK_FALSE(presence.alive(Identity{kSlots, 1}));
}

TEST_CASE("who was killed is dead, as a zombie already", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Somebody other{ground};
  REQUIRE(companion->presence().alive(other.identity()));
  other.process().signal(SIGKILL);
  await_zombie(other.process().pid());
  CHECK_FALSE(companion->presence().alive(other.identity()));
  CHECK(::kill(other.process().pid(), 0) == 0);  // the pid is still there, and would have lied
}

TEST_CASE("who is stopped is alive", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Somebody other{ground};
  other.process().stop();
  CHECK(companion->presence().alive(other.identity()));
}

TEST_CASE("a forked child does not keep its dead parent present", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  const Shared<std::atomic<pid_t>> grandchild;
  Somebody other{ground, [&](Companion& mine, Pipe& ready) {
                   const pid_t child = ::fork();
                   if (child == 0) {
                     grandchild->store(::getpid());
                     // It is another process, and nothing in it was ever its own.
                     if (mine.presence().intact()) ::_exit(1);
                     ready.tell();
                     ::alarm(support::kLifetime);
                     Child::sleep();
                   }
                   Child::sleep();
                   return 0;
                 }};
  other.process().kill();
  CHECK_FALSE(companion->presence().alive(other.identity()));
  CHECK(::kill(grandchild->load(), SIGKILL) == 0);
}

TEST_CASE("a program that takes the process's place does not keep it present", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Somebody other{ground, [](Companion&, Pipe& ready) {
                   ready.tell();
                   ::execlp("sleep", "sleep", "60", nullptr);
                   return 1;
                 }};
  CHECK(eventually([&] { return !companion->presence().alive(other.identity()); }));
  CHECK(other.process().running());
}

TEST_CASE("the end of the thread that came first ends nothing", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  const Shared<Identity> identity;
  Pipe ready, go, armed;
  Child other{[&] {
    Companion* made = nullptr;
    std::thread{[&] { made = ground.open().release(); }}.join();
    *identity = made->presence().me();
    ready.tell();
    go.hear();
    made->presence().rearm();
    armed.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  const Presence& presence = companion->presence();
  CHECK(presence.alive(*identity));
  // The word that wakes sleepers at its death was the thread's, and is another thread's once that has passed by.
  CHECK_FALSE(Presence::watched(presence.life(*identity).load()));
  go.tell();
  REQUIRE(armed.hear());
  CHECK(Presence::watched(presence.life(*identity).load()));
  CHECK(presence.alive(*identity));
  other.kill();
  CHECK_FALSE(presence.alive(*identity));
}

TEST_CASE("the life word tells a death to who has asked for it", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Somebody other{ground};
  const Presence& presence = companion->presence();
  const Word& life = presence.life(other.identity());
  const std::uint32_t armed = presence.ask_to_be_woken(other.identity());
  REQUIRE(Presence::watched(armed));
  CHECK(life.load() == armed);
  CHECK(presence.ask_to_be_woken(other.identity()) == armed);
  other.process().signal(SIGKILL);
  const auto deadline = sherlock::posix::as_timespec(std::chrono::steady_clock::now().time_since_epoch() + support::kPatience);
  while (life.load() == armed)
    if (sherlock::posix::syscalls().futex(&life, FUTEX_WAIT_BITSET, armed, &deadline, FUTEX_BITSET_MATCH_ANY) != 0) break;
  CHECK_FALSE(Presence::watched(life.load()));
  CHECK(presence.ask_to_be_woken(other.identity()) == 0);
}

TEST_CASE("a place that is given out again is another identity", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  const std::uint32_t spared = (companion->presence().me().slot + 9) % kSlots;
  const Crowd crowd{ground, spared};
  std::set<std::uint32_t> seen;
  Identity before{};
  for (int i = 0; i < 20; ++i) {
    Somebody other{ground};
    CHECK(other.identity().slot == spared);
    CHECK(seen.insert(other.identity().packed()).second);
    CHECK(companion->presence().alive(other.identity()));
    CHECK_FALSE(companion->presence().alive(before));
    before = other.identity();
    other.process().kill();
    CHECK_FALSE(companion->presence().alive(before));
  }
}

TEST_CASE("generations begin anew when there are no more", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  const std::uint32_t spared = (companion->presence().me().slot + 9) % kSlots;
  const Crowd crowd{ground, spared};
  companion->slot(spared).generation.store((1u << 18) - 1);
  Somebody other{ground};
  CHECK(other.identity() == Identity{spared, 0});
  CHECK(companion->presence().alive(other.identity()));
}

TEST_CASE("when all places are taken, that is an error which says so", "[presence]") {
  const Playground ground;
  { const auto companion = ground.open(); }
  {
    const Crowd crowd{ground, -1};
    CHECK(crowd.taken() == kSlots);
    CHECK_THROWS_WITH(ground.open(), says("4096"));
  }
  CHECK_NOTHROW(ground.open());
}

TEST_CASE("whether anybody is present at all can be told", "[presence][process]") {
  const Playground ground;
  { const auto companion = ground.open(); }
  const sherlock::posix::UniqueFd fd{::open(ground.file().c_str(), O_RDWR | O_CLOEXEC)};
  CHECK_FALSE(Presence::anybody(fd.get()));
  Somebody other{ground};
  CHECK(Presence::anybody(fd.get()));
  other.process().kill();
  CHECK_FALSE(Presence::anybody(fd.get()));
}

TEST_CASE("who has had his descriptors closed by a stranger is not intact", "[presence]") {
  const Playground ground;
  const auto companion = ground.open();
  const int number = companion->presence().descriptor();
  const int kept = ::fcntl(number, F_DUPFD_CLOEXEC, 100);
  ::close(number);
  CHECK_FALSE(companion->presence().intact());
  const int stranger = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(::dup2(stranger, number) == number);
  ::close(stranger);
  CHECK_FALSE(companion->presence().intact());
  REQUIRE(::dup2(kept, number) == number);
  ::close(kept);
  CHECK(companion->presence().intact());
}

TEST_CASE("processes of other pid namespaces are alive, and dead, as everybody is", "[presence][process]") {
  const Playground ground;
  const auto companion = ground.open();
  const Shared<Identity> identity;
  const Shared<std::atomic<int>> pid;
  Pipe ready, go;
  Child outer{[&] {
    if (::unshare(CLONE_NEWPID) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
      ready.tell('x');
      return 0;
    }
    Child inner{[&] {  // number 1 of its namespace
      const auto mine = ground.open();
      *identity = mine->presence().me();
      pid->store(::getpid());
      ready.tell();
      Child::sleep();
      return 0;
    }};
    return go.hear() && inner.kill() == Exit{-1, SIGKILL} ? 0 : 1;
  }};
  const char word = ready.hear();
  REQUIRE(word);
  if (word == 'x') return skip("no new pid namespace for this user");
  CHECK(pid->load() == 1);
  CHECK(companion->presence().alive(*identity));
  go.tell();
  CHECK(outer.wait() == Exit{0, 0});
  CHECK_FALSE(companion->presence().alive(*identity));
}
