// SPDX-License-Identifier: MIT
#include "local/table.hpp"

#include <sched.h>

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "local/word.hpp"
#include "playground.hpp"

using namespace sherlock::local;
using namespace playground;
using support::Child;
using support::Exit;
using support::Pipe;

namespace {

int settled_entries(const Table& table, const KeyHash& hash) {
  int count = 0;
  table.for_each([&](const Found& f) { count += f.entry->hash[0].load() == hash.half[0] && f.entry->hash[1].load() == hash.half[1]; });
  return count;
}

// As held by somebody who lives: not to be recycled.
void occupy(const Companion& companion, Entry& entry) { entry.word.store(gate::make(GateState::held, companion.presence().me(), 1)); }

// An entry's tenure, as table.cpp describes it.
std::uint64_t tenure(std::uint64_t state, std::uint64_t count, Identity who) { return state << 62 | count << 31 | who.packed(); }
constexpr std::uint64_t kClaimed = 1, kOffered = 2;

// A process that is dead, and what it was called while it lived.
Identity dead_identity(const Playground& ground) {
  Shared<Identity> identity;
  Child child{[&] {
    *identity = ground.open()->presence().me();
    return 0;
  }};
  REQUIRE(child.wait() == Exit{0, 0});
  return *identity;
}

// Where all processes of a test meet, again and again.
struct Meeting {
  std::atomic<int> arrived{0};
  void at(int count) {
    arrived.fetch_add(1);
    while (arrived.load() < count) sched_yield();
  }
};

}  // namespace

TEST_CASE("an entry that was made is found, with its names", "[table]") {
  const Playground ground;
  const auto companion = ground.open();
  Table table{*companion};
  CHECK_FALSE(table.find(scattered_key(1)));
  const Found made = table.find_or_make(scattered_key(1), "shop", "nightly");
  REQUIRE(made);
  CHECK(made.current());
  CHECK(gate::state(made.entry->word.load()) == GateState::free);
  CHECK(made.entry->fence.load() != 0);

  const Found found = table.find(scattered_key(1));
  CHECK(found.entry == made.entry);
  CHECK(found.tenure == made.tenure);
  CHECK(found.number == made.number);
  CHECK(table.find_or_make(scattered_key(1), "shop", "nightly").entry == made.entry);
  CHECK_FALSE(table.find(scattered_key(2)));

  const auto text = table.text(*found.entry);
  REQUIRE(text);
  CHECK(text->ns == "shop");
  CHECK(text->name == "nightly");
  CHECK_FALSE(text->label);
}

TEST_CASE("names and labels may be of any length and any bytes", "[table]") {
  const Playground ground;
  const auto companion = ground.open();
  Table table{*companion};
  std::uint64_t number = 0;
  for (const std::size_t name : {1u, 47u, 1024u})
    for (const std::size_t ns : {0u, 1u, 1024u})
      for (const std::size_t label : {0u, 48u, 49u, 256u}) {
        const std::string n(name, '\0'), s(ns, '\xff'), l(label, '/');
        Entry& entry = *table.find_or_make(scattered_key(++number), s, n).entry;
        table.write_label(entry, l);
        const auto text = table.text(entry);
        REQUIRE(text);
        CHECK(text->name == n);
        CHECK(text->ns == s);
        CHECK(text->label == l);
        table.write_default_label(entry);
        CHECK_FALSE(table.text(entry)->label);
      }
}

TEST_CASE("processes that make the same key at once get one entry", "[table][process]") {
  constexpr int kProcesses = 4, kRounds = 1000;
  struct Board {
    Meeting start[kRounds], made[kRounds], seen[kRounds];
    std::uint64_t tenure[kRounds][kProcesses];
    std::uint32_t number[kRounds][kProcesses];
    int entries[kRounds];
    int strays[kRounds];  // who thinks that he has found the key, and has not
  };
  // All over the table; in places so few that every round has to make room first, by giving up what was made in the one before, or what
  // somebody else has made in this one.
  const bool crowded = GENERATE(false, true, false, true);
  CAPTURE(crowded);
  const Playground ground;
  const Shared<Board> board;
  std::vector<Child> children;
  for (int p = 0; p < kProcesses; ++p)
    children.emplace_back([&, p] {
      const auto companion = ground.open();
      Table table{*companion};
      for (int r = 0; r < kRounds; ++r) {
        const auto number = static_cast<std::uint64_t>(r);
        const KeyHash hash = crowded ? key(100, number) : scattered_key(number);
        board->start[r].at(kProcesses);
        const Found found = table.find_or_make(hash, "", "round");
        board->made[r].at(kProcesses);
        board->tenure[r][p] = found.tenure;
        board->number[r][p] = found.number;
        if (p == 0) board->entries[r] = settled_entries(table, hash);
        if (found.current() && table.find(hash).entry != found.entry) __atomic_fetch_add(&board->strays[r], 1, __ATOMIC_RELAXED);
        board->seen[r].at(kProcesses);
      }
      return 0;
    });
  for (Child& child : children) CHECK(child.wait(std::chrono::seconds{60}) == Exit{0, 0});
  int one = 0, same = 0, strays = 0;
  for (int r = 0; r < kRounds; ++r) {
    one += board->entries[r] == 1;
    strays += board->strays[r];
    bool all = true;
    for (int p = 1; p < kProcesses; ++p) all = all && board->tenure[r][p] == board->tenure[r][0] && board->number[r][p] == board->number[r][0];
    same += all;
  }
  CHECK(one == kRounds);
  CHECK(strays == 0);
  if (!crowded) CHECK(same == kRounds);
}

TEST_CASE("threads that make the same key at once get one entry", "[table]") {
  constexpr int kThreads = 3, kRounds = 500;
  const Playground ground;
  const auto companion = ground.open();
  Table table{*companion};
  std::vector<Meeting> start(kRounds);
  std::vector<std::vector<Found>> found(kRounds, std::vector<Found>(kThreads));
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int r = 0; r < kRounds; ++r) {
        start[static_cast<std::size_t>(r)].at(kThreads);
        found[static_cast<std::size_t>(r)][static_cast<std::size_t>(t)] = table.find_or_make(scattered_key(static_cast<std::uint64_t>(r)), "", "x");
      }
    });
  for (std::thread& thread : threads) thread.join();
  int wrong = 0;
  for (const auto& round : found)
    for (const Found& f : round) wrong += f.entry != round[0].entry;
  CHECK(wrong == 0);
}

TEST_CASE("ten thousand names have ten thousand entries, for every process", "[table][process]") {
  constexpr std::uint64_t kNames = 10000;
  const Playground ground;
  Pipe ready, go;
  // This one is there before the table grows.
  Child other{[&] {
    const auto companion = ground.open();
    const Table table{*companion};
    ready.tell();
    if (!go.hear()) return 1;
    for (std::uint64_t i = 0; i < kNames; ++i) {
      const Found found = table.find(scattered_key(i));
      if (!found) return 2;
      const auto text = table.text(*found.entry);
      if (!text || text->name != "name " + std::to_string(i) || text->ns != "ns") return 3;
    }
    return 0;
  }};
  REQUIRE(ready.hear());
  const auto companion = ground.open();
  Table table{*companion};
  std::set<const Entry*> entries;
  std::set<std::uint32_t> numbers;
  for (std::uint64_t i = 0; i < kNames; ++i) {
    const Found found = table.find_or_make(scattered_key(i), "ns", "name " + std::to_string(i));
    REQUIRE(found);
    occupy(*companion, *found.entry);
    entries.insert(found.entry);
    numbers.insert(found.number);
  }
  CHECK(entries.size() == kNames);
  CHECK(numbers.size() == kNames);
  CHECK(companion->segments() == 3);
  std::uint64_t seen = 0;
  table.for_each([&](const Found&) { ++seen; });
  CHECK(seen == kNames);
  go.tell();
  CHECK(other.wait() == Exit{0, 0});
}

TEST_CASE("where there is no place left, a key that nobody uses makes room, and its fences never come again", "[table]") {
  const Playground ground;
  const auto companion = ground.open();
  Table table{*companion};
  for (std::uint64_t i = 0; i < Table::kPlaces; ++i) {
    Entry& entry = *table.find_or_make(key(100, i), "", "old").entry;
    if (i != 5) occupy(*companion, entry);
  }
  const Found unused = table.find(key(100, 5));
  REQUIRE(unused);
  const std::uint64_t far_ahead = unused.entry->fence.load() + (1ull << 61);
  unused.entry->fence.store(far_ahead);

  const Found fresh = table.find_or_make(key(100, 1000), "", "new");
  REQUIRE(fresh);
  CHECK(fresh.entry == unused.entry);
  CHECK_FALSE(unused.current());
  CHECK_FALSE(table.find(key(100, 5)));
  CHECK(companion->segments() == 1);
  CHECK(fresh.entry->fence.load() > far_ahead);
  CHECK(companion->header().floor.load() >= far_ahead);

  // Elsewhere, too: nobody remembers which keys there were.
  CHECK(table.find_or_make(key(700, 1), "", "elsewhere").entry->fence.load() > far_ahead);
  occupy(*companion, *fresh.entry);
  const Found again = table.find_or_make(key(100, 5), "", "old");
  CHECK(again.entry->fence.load() > far_ahead);
  CHECK(companion->segments() == 2);
}

TEST_CASE("a key that is forgotten is free, and made anew", "[table]") {
  const Playground ground;
  const auto companion = ground.open();
  Table table{*companion};
  const Found found = table.find_or_make(scattered_key(1), "", "x");
  const std::uint64_t fence = found.entry->fence.load();
  std::uint64_t word = found.entry->word.load();
  const std::uint64_t mine = gate::taken_by(companion->presence().me(), word);
  REQUIRE(found.entry->word.compare_exchange_strong(word, mine));
  table.forget(found, mine);
  CHECK_FALSE(found.current());
  CHECK_FALSE(table.find(scattered_key(1)));
  CHECK(gate::state(found.entry->word.load()) == GateState::free);

  const Found again = table.find_or_make(scattered_key(1), "", "x");
  CHECK(again);
  CHECK_FALSE(found.current());
  CHECK(again.entry->fence.load() > fence);
}

TEST_CASE("what a dead process began to make is in nobody's way", "[table][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Table table{*companion};
  const Identity dead = dead_identity(ground);
  Entry& first = companion->entry(0, 100);
  for (const std::uint64_t state : {kClaimed, kOffered}) {
    const KeyHash hash = key(100, 10 + state);
    // Of the very key that is asked for, even: an offer that will never be settled.
    first.hash[0].store(hash.half[0]);
    first.hash[1].store(hash.half[1]);
    first.tenure.store(tenure(state, state * 7, dead));
    CHECK_FALSE(table.find(hash));
    const Found made = table.find_or_make(hash, "", "x");
    REQUIRE(made);
    CHECK(made.entry == &first);
    CHECK(settled_entries(table, hash) == 1);
  }
}

TEST_CASE("an offer of a process that does not go on is in nobody's way for long", "[table][process]") {
  const Playground ground;
  const auto companion = ground.open();
  Table table{*companion};
  const Shared<Identity> identity;
  Pipe ready;
  Child stopped{[&] {
    const auto companion = ground.open();
    *identity = companion->presence().me();
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  stopped.stop();
  Entry& first = companion->entry(0, 100);
  const KeyHash hash = key(100, 1);
  first.hash[0].store(hash.half[0]);
  first.hash[1].store(hash.half[1]);
  first.tenure.store(tenure(kOffered, 3, *identity));
  const Found made = table.find_or_make(hash, "", "x");
  CHECK(made);
  CHECK(settled_entries(table, hash) == 1);
  // And the one that was stopped cannot settle any more.
  CHECK(first.tenure.load() != tenure(kOffered, 3, *identity));
}

TEST_CASE("processes killed while they make entries leave one entry a key", "[table][process]") {
  constexpr std::uint64_t kKeys = 72;  // in 96 places
  const Playground ground;
  const auto hash = [](std::uint64_t i) { return key(i % 32, i); };
  const auto make_all = [&](unsigned seed) {
    const auto companion = ground.open();
    Table table{*companion};
    std::minstd_rand random{seed};
    for (;;) {
      const Found found = table.find_or_make(hash(random() % kKeys), "", "x");
      std::uint64_t word = found.entry->word.load();
      if (gate::state(word) != GateState::free) continue;
      const std::uint64_t mine = gate::taken_by(companion->presence().me(), word);
      if (!found.entry->word.compare_exchange_strong(word, mine)) continue;
      if (found.current()) table.forget(found, mine);
      // else: the word of another key. It is free again when we are dead, as far as its users go; here it stays.
    }
    return 0;
  };
  std::minstd_rand random{17};
  std::vector<std::unique_ptr<Child>> children;
  for (unsigned i = 0; i < 4; ++i) children.push_back(std::make_unique<Child>([&, i] { return make_all(i); }));
  for (unsigned kill = 0; kill < 60; ++kill) {
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 4000});
    auto& child = children[random() % children.size()];
    CHECK(child->kill() == Exit{-1, SIGKILL});
    child = std::make_unique<Child>([&, kill] { return make_all(100 + kill); });
  }
  children.clear();

  const auto companion = ground.open();
  Table table{*companion};
  std::set<const Entry*> entries;
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    const Found found = table.find_or_make(hash(i), "", "x");
    REQUIRE(found);
    CHECK(settled_entries(table, hash(i)) == 1);
    occupy(*companion, *found.entry);
    entries.insert(found.entry);
  }
  CHECK(entries.size() == kKeys);
}
