// SPDX-License-Identifier: MIT
// The companion is untrusted: what somebody of our own user writes into it may make us refuse, never read or write elsewhere.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <string>

#include "catch.hpp"
#include "core/failure.hpp"
#include "local/companion.hpp"
#include "local/parking.hpp"
#include "local/table.hpp"
#include "local/wait_cells.hpp"
#include "playground.hpp"

using namespace sherlock::local;
using namespace playground;
using support::Child;
using support::Exit;

namespace {

// An entry whose text stands at the very end of the segment, so that there is nothing of ours behind it.
struct AtTheEnd {
  AtTheEnd(Companion& companion, Table& table) : entry{*table.find_or_make(scattered_key(1), "", "x").entry} {
    const std::uint64_t room = kFirstSegment - kTextAt;
    Word& used = companion.header().text_used;
    const std::uint32_t size = 16 + 64;
    used.store(static_cast<std::uint32_t>(room) - size);
    const std::uint32_t offset = companion.allocate_text(64);
    REQUIRE(offset != 0);
    block = companion.text(offset).block;
    REQUIRE(reinterpret_cast<std::byte*>(block) == reinterpret_cast<std::byte*>(&companion.header()) + kFirstSegment - size);
    entry.text.store(offset);
    block->ns_size = 3;
    block->name_size = 4;
    block->label_size = 2;
    std::memcpy(reinterpret_cast<char*>(block + 1), "ns-name", 7);
  }
  Entry& entry;
  TextBlock* block;
};

// A room as large as a companion with nothing but a wall behind it: who goes there dies. The next mapping of that size is likely to
// find its place in the room.
class Room {
 public:
  Room() {
    void* const region = ::mmap(nullptr, kFirstSegment + kWall, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED || ::munmap(region, kFirstSegment) != 0) return;
    start_ = region;
  }
  bool holds(const Companion& companion) const { return &companion.header() == start_; }

 private:
  static constexpr std::size_t kWall = 1 << 18;
  void* start_ = nullptr;
};

}  // namespace

TEST_CASE("offsets of text that lead nowhere are no text", "[table]") {
  const Playground ground;
  const auto companion = ground.open();
  const Table table{*companion};
  Table writer{*companion};
  Entry& entry = *writer.find_or_make(scattered_key(1), "", "x").entry;
  for (const std::uint64_t at : {std::uint64_t{16}, kSlotsAt, kEntriesAt, kTextAt - 16, kFirstSegment, kFirstSegment * 2,
                                 std::uint64_t{0xffffffff} * 16}) {
    entry.text.store(static_cast<std::uint32_t>(at / 16));
    CHECK_FALSE(table.text(entry));
  }
  entry.text.store(0);
  CHECK_FALSE(table.text(entry));
  // A label can be written all the same: where there is no text, there is none of it.
  CHECK_NOTHROW(writer.write_label(entry, "label"));
}

TEST_CASE("lengths of text that lead out of the companion are no text", "[table]") {
  const Playground ground;
  const auto companion = ground.open();
  Table table{*companion};
  const AtTheEnd end{*companion, table};
  REQUIRE(table.text(end.entry));
  CHECK(table.text(end.entry)->name == "name");
  const TextBlock good = *end.block;
  const auto forged = [&](auto change) {
    *end.block = good;
    change(*end.block);
    return table.text(end.entry).has_value();
  };
  CHECK_FALSE(forged([](TextBlock& b) { b.capacity = 65; }));
  CHECK_FALSE(forged([](TextBlock& b) { b.capacity = 0xffffffff; }));
  CHECK_FALSE(forged([](TextBlock& b) { b.ns_size = 65535; }));
  CHECK_FALSE(forged([](TextBlock& b) { b.name_size = 62; }));
  CHECK_FALSE(forged([](TextBlock& b) { b.label_size = 58; }));
  CHECK_FALSE(forged([](TextBlock& b) { b.capacity = 5; }));
}

TEST_CASE("lengths of text that change while they are read lead nowhere either", "[table][process]") {
  const Playground ground;
  const Shared<std::size_t> longest;
  Child reader{[&] {
    const auto companion = ground.open();
    Table table{*companion};
    const AtTheEnd end{*companion, table};
    const Child forger{[&] {
      auto& block = *const_cast<volatile TextBlock*>(end.block);
      for (;;) {
        block.capacity = 64;
        block.ns_size = 3;
        block.capacity = 0xfffffff0;
        block.ns_size = 0x8000;
      }
      return 0;
    }};
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds{500};
    while (std::chrono::steady_clock::now() < until && *longest <= 64)
      for (int i = 0; i < 1000; ++i)
        if (const auto text = table.text(end.entry))
          *longest = std::max(*longest, text->ns.size() + text->name.size() + text->label.value_or("").size());
    return 0;
  }};
  CHECK(reader.wait() == Exit{0, 0});
  CHECK(*longest <= 64);
}

TEST_CASE("lengths of text that lead out of the companion are not written to", "[table][process]") {
  const Playground ground;
  Child child{[&] {
    const Room room;
    const auto companion = ground.open();
    if (!room.holds(*companion)) return 77;
    Table table{*companion};
    const AtTheEnd end{*companion, table};
    const TextBlock good = *end.block;
    const std::string label(256, '!');
    const auto forge = [&](auto change) {
      *end.block = good;
      change(*end.block);
      table.write_label(end.entry, label);
      table.write_default_label(end.entry);
    };
    forge([](TextBlock& b) { b.label_size = 65535; });
    forge([](TextBlock& b) { b.ns_size = 65535, b.name_size = 65535; });
    forge([](TextBlock& b) { b.capacity = 65535; });
    return 0;
  }};
  const Exit exit = child.wait();
  if (exit.code == 77) return skip("the companion was not mapped where a wall could be built behind it");
  CHECK(exit == Exit{0, 0});
}

TEST_CASE("garbage in the companion crashes and hangs nobody", "[table][process]") {
  const Playground ground;
  { const auto companion = ground.open(); }
  std::minstd_rand random{4711};
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 4000; ++i) {
      const std::uint64_t from = round % 2 ? kSlotsAt : kEntriesAt;
      const std::uint64_t at = from + (std::uint64_t{random()} % (kFirstSegment - from)) / 4 * 4;
      // Small numbers and single bits lead further in than noise does.
      forge(ground.file(), at, static_cast<std::uint32_t>(random() % 3 == 0 ? random() % 64 : random() % 2 ? 1u << random() % 32 : random() * 2654435761u));
    }
    Child child{[&, seed = random()] {
      const auto companion = ground.open();
      Table table{*companion};
      std::minstd_rand mine{static_cast<unsigned>(seed)};
      for (int i = 0; i < 100; ++i) {
        const Found found = table.find_or_make(scattered_key(mine() % 4000), "ns", "name");
        (void)table.text(*found.entry);
        table.write_label(*found.entry, "label");
        std::uint64_t word = found.entry->word.load();
        const Taking taking = judge(companion->presence(), *found.entry, word, Precedence::ignored, [] { return std::chrono::nanoseconds{1}; });
        if (taking == Taking::no) continue;
        const std::uint64_t taken = gate::taken_by(companion->presence().me(), word) | gate::flags(word);
        if (found.entry->word.compare_exchange_strong(word, taken)) pass_on(*found.entry, taken);
      }
      table.for_each([&](const Found& f) {
        (void)table.text(*f.entry);
        (void)companion->presence().alive(f.entry->word.load());
      });
      (void)WaitCells{*companion}.count(7);
      return 0;
    }};
    REQUIRE(child.wait() == Exit{0, 0});
  }
}

TEST_CASE("a companion in which no entry can be made is an error that names it, and no wait for ever", "[table][process]") {
  Child child{[] {
    const Playground ground;
    const auto companion = ground.open();
    Table table{*companion};
    companion->header().floor.store(~std::uint64_t{0});  // no fence is above it
    try {
      table.find_or_make(scattered_key(1), "ns", "name");
    } catch (const sherlock::detail::Failure& failure) {
      return failure.code() == sherlock::Errc::damaged && std::string{failure.what()}.find(ground.file()) != std::string::npos ? 0 : 2;
    }
    return 1;
  }};
  CHECK(child.wait() == Exit{0, 0});
}
