// SPDX-License-Identifier: MIT
// The tenure of an entry, one word: state 2 | count 31 | who 31 (Identity::packed), from the top.
//
//   empty    -> claimed    by whoever found no entry for a key; hash, fence and text are written now
//   claimed  -> offered    complete, but perhaps not the only one for its key: two may have been at it at the same time
//   offered  -> settled    after a look at all places where the key could be: this is the only one. Found by others from now on
//   offered  -> empty      somebody else's was first; anybody may do this to an offer that stands in the way
//   settled  -> claimed    nobody uses it: taken for another key
//
// Of two offers for one key at least one sees the other, for each is written before the other is looked for. A dead process's claim or offer
// is anybody's. The count makes every tenure a different word.
#include "local/table.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>

#include <sherlock/clock.hpp>

#include "core/failure.hpp"
#include "local/fence.hpp"
#include "local/parking.hpp"
#include "local/presence.hpp"
#include "local/steps.hpp"
#include "local/wait_cells.hpp"
#include "local/word.hpp"

namespace sherlock::local {
namespace {

enum class Tenure : std::uint64_t { empty = 0, claimed = 1, offered = 2, settled = 3 };

constexpr std::uint64_t kUntouched = 0;     // empty since the segment was made: every later word says who made it
constexpr std::uint8_t kNoFingerprint = 0;  // of a place that never had an entry, or is being made just now

Tenure tenure_state(std::uint64_t word) { return static_cast<Tenure>(word >> 62); }
Identity tenure_owner(std::uint64_t word) { return Identity::unpack(static_cast<std::uint32_t>(word & 0x7fffffff)); }
std::uint64_t next_tenure(std::uint64_t old, Tenure state, Identity who) {
  const std::uint64_t count = ((old >> 31) + 1) & 0x7fffffff;
  return static_cast<std::uint64_t>(state) << 62 | count << 31 | who.packed();
}

// Of other bits than the place is counted by.
std::uint8_t fingerprint_of(const KeyHash& hash) { return static_cast<std::uint8_t>(1 + (hash.half[1] >> 32) % 255); }

bool same(const Entry& entry, const KeyHash& hash) { return entry.hash[0].load() == hash.half[0] && entry.hash[1].load() == hash.half[1]; }

// Among those who keep the rules a few rounds are enough: each that fails is somebody else's success. Whoever writes what he likes, or wrote it once, could
// keep us for ever.
constexpr int kRounds = 1000;
[[noreturn]] void throw_damaged(const Companion& companion) {
  throw detail::Failure{Errc::damaged, companion.path() + " is being changed, or was, by somebody who does not keep its rules; remove it when nobody "
                                                          "holds a lock there"};
}

constexpr std::uint16_t kProgramsName = 0xffff;  // as label_size
constexpr std::uint32_t kLongestLabel = 256;

// For what one process writes while another may be reading it.
template <class T>
std::atomic_ref<T> shared(T& value) {
  return std::atomic_ref<T>{value};
}

// What is read from a block, each number once: they may be anybody's invention, and change at any time.
struct Lengths {
  std::uint32_t ns, name, label;

  explicit Lengths(TextBlock& block)
      : ns{shared(block.ns_size).load(std::memory_order_relaxed)},
        name{shared(block.name_size).load(std::memory_order_relaxed)},
        label{shared(block.label_size).load(std::memory_order_relaxed)} {}
};

// The caller knows that there is room.
void write_names(TextBlock& block, std::string_view ns, std::string_view name) {
  shared(block.ns_size).store(static_cast<std::uint16_t>(ns.size()), std::memory_order_relaxed);
  shared(block.name_size).store(static_cast<std::uint16_t>(name.size()), std::memory_order_relaxed);
  shared(block.label_size).store(kProgramsName, std::memory_order_relaxed);
  char* bytes = reinterpret_cast<char*>(&block + 1);
  std::copy(ns.begin(), ns.end(), bytes);
  std::copy(name.begin(), name.end(), bytes + ns.size());
}

std::uint64_t wall_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(clock().wall().time_since_epoch()).count());
}

}  // namespace

// The later digits first: places are counted by the low bits of the first half, where the earlier ones have the version of the UUID.
KeyHash KeyHash::of(std::string_view key) {
  KeyHash hash{{0, 0}};
  const std::string_view digits = key.substr(key.size() - 32);
  for (std::size_t i = 0; i < 32; ++i) {
    const char c = digits[i];
    hash.half[1 - i / 16] = hash.half[1 - i / 16] << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  if (hash.half[0] == 0) hash.half[0] = 1;
  return hash;
}

// Of eight fingerprints, those bytes that are 0 or `wanted`, as their top bits; perhaps one or two more, which a look at the byte tells.
constexpr std::uint64_t kOnes = 0x0101010101010101, kTops = 0x8080808080808080;
std::uint64_t candidates(std::uint64_t eight, std::uint8_t wanted) {
  const auto zeros = [](std::uint64_t bytes) { return (bytes - kOnes) & ~bytes & kTops; };
  return zeros(eight) | zeros(eight ^ (kOnes * wanted));
}

// Calls visit(found) for the places where the key can be, in one order for all processes, until it returns true: for all of them, or for those that may
// have its entry, by their fingerprint. Nobody goes past a place that never had an entry to make one, so behind such a place there is none for the key.
template <class Visit>
void Table::probe(const KeyHash& hash, Places places, Visit visit) const {
  const std::uint32_t segments = companion_.segments();
  const std::uint8_t own = fingerprint_of(hash);
  for (std::uint32_t s = 0; s < segments; ++s) {
    const std::uint32_t mask = segment_shape(s).entries - 1, first = static_cast<std::uint32_t>(hash.half[0]);
    for (std::uint32_t i = 0; i < kPlaces;) {
      const std::uint32_t index = (first + i) & mask, lane = index % 8, count = std::min(8 - lane, kPlaces - i);
      i += count;
      const std::uint64_t eight = companion_.eight_fingerprints(s, index - lane) >> 8 * lane;
      for (std::uint64_t left = places == Places::all ? kTops : candidates(eight, own); left != 0; left &= left - 1) {
        const auto at = static_cast<std::uint32_t>(std::countr_zero(left)) / 8;
        if (at >= count) break;
        const auto fingerprint = static_cast<std::uint8_t>(eight >> 8 * at);
        if (places == Places::its_own && fingerprint != kNoFingerprint && fingerprint != own) continue;
        Entry& entry = companion_.entry(s, index + at);
        const Found found{&entry, entry.tenure.load(), Companion::number(s, index + at)};
        if (visit(found) || entry.tenure.load() == kUntouched) return;  // not as it was found: the visitor may have lost it to another
      }
    }
  }
}

// Where nobody has the place, or he died while he made an entry there.
bool Table::may_be_claimed(const Found& f) const {
  const Tenure state = tenure_state(f.tenure);
  return state == Tenure::empty || (state != Tenure::settled && !companion_.presence().alive(tenure_owner(f.tenure)));
}

Found Table::find(const KeyHash& hash) const { return find(hash, nullptr); }

// Where there is none, `spot` is the first place that may be claimed for it, if there is one.
Found Table::find(const KeyHash& hash, Found* spot) const {
  Found result;
  probe(hash, Places::its_own, [&](const Found& f) {
    if (tenure_state(f.tenure) == Tenure::settled && same(*f.entry, hash) && f.current()) {
      result = f;
      return true;
    }
    if (spot && !*spot && may_be_claimed(f)) *spot = f;
    return false;
  });
  return result;
}

Found Table::find_or_make(const KeyHash& hash, std::string_view ns, std::string_view name) {
  for (int round = 0; round < kRounds; ++round) {
    Found spot;
    if (const Found found = find(hash, &spot)) return found;
    if (const auto mine = spot ? claim(spot) : claim_any(hash)) {
      try {
        fill(*mine, hash, ns, name);
      } catch (...) {
        // A claim of the living is nobody else's: whoever tried again and again on a full disk would take up place after place.
        std::uint64_t claimed = mine->tenure;
        mine->entry->tenure.compare_exchange_strong(claimed, next_tenure(claimed, Tenure::empty, companion_.presence().me()));
        throw;
      }
      if (const Found published = publish(*mine, hash)) return published;
    } else if (!spot && !recycle(hash)) {
      companion_.grow(companion_.segments());
    }
  }
  throw_damaged(companion_);
}

std::optional<Found> Table::claim(const Found& spot) {
  std::uint64_t expected = spot.tenure;
  const std::uint64_t claimed = next_tenure(spot.tenure, Tenure::claimed, companion_.presence().me());
  if (!spot.entry->tenure.compare_exchange_strong(expected, claimed)) return std::nullopt;
  SHERLOCK_STEP("table: claimed");
  return Found{spot.entry, claimed, spot.number};
}

// Among the places that had entries of other keys.
std::optional<Found> Table::claim_any(const KeyHash& hash) {
  std::optional<Found> mine;
  probe(hash, Places::all, [&](const Found& f) { return may_be_claimed(f) && (mine = claim(f)).has_value(); });
  return mine;
}

void Table::fill(const Found& mine, const KeyHash& hash, std::string_view ns, std::string_view name) {
  Entry& entry = *mine.entry;
  companion_.fingerprint(mine.number).store(fingerprint_of(hash));
  SHERLOCK_STEP("fill: the fingerprint");
  entry.hash[0].store(hash.half[0]);
  entry.hash[1].store(hash.half[1]);
  SHERLOCK_STEP("fill: the hash");
  const std::uint64_t fence = std::max(wall_ns(), companion_.header().floor.load() + 1);
  entry.fence.store(fence);
  entry.expiry.store(0);
  entry.since.store(0);
  stragglers::none(entry);
  entry.heir_id.store(0);
  entry.marks.store(0);
  entry.word.store(gate::make(GateState::free, {}, gate::tag(fence)));  // see fence.hpp
  SHERLOCK_STEP("fill: the word");

  constexpr std::uint32_t kLabelRoom = 48;  // most labels; a longer one gets a new block
  const auto size = static_cast<std::uint32_t>(ns.size() + name.size()) + kLabelRoom;
  std::uint32_t offset = entry.text.load();
  Companion::Text text = companion_.text(offset);
  if (!text || offset == 0 || text.capacity < size) {
    while ((offset = companion_.allocate_text(size)) == 0) companion_.grow(companion_.segments());
    text = companion_.text(offset);
  }
  if (text.capacity >= size) write_names(*text.block, ns, name);
  entry.text.store(offset);
  SHERLOCK_STEP("fill: the text");
}

// From claimed to settled, unless somebody else is there first; then nothing.
Found Table::publish(const Found& mine, const KeyHash& hash) {
  const Identity me = companion_.presence().me();
  const std::uint64_t offered = next_tenure(mine.tenure, Tenure::offered, me);
  std::uint64_t expected = mine.tenure;
  if (!mine.entry->tenure.compare_exchange_strong(expected, offered)) return {};
  SHERLOCK_STEP("table: offered");
  const auto withdraw = [&] {
    std::uint64_t still = offered;
    mine.entry->tenure.compare_exchange_strong(still, next_tenure(offered, Tenure::empty, me));
  };

  const auto patience = clock().monotonic() + std::chrono::milliseconds{1};
  for (int impatient = 0;;) {
    bool withdrawn = false, wait = false, passed_mine = false;
    probe(hash, Places::its_own, [&](const Found& f) {
      if (f.entry == mine.entry) {
        passed_mine = true;
        return false;
      }
      const Tenure state = tenure_state(f.tenure);
      if ((state != Tenure::offered && state != Tenure::settled) || !same(*f.entry, hash)) return false;
      if (!f.current()) {  // changed under our eyes, perhaps from offered to settled: everything is to be looked at again
        wait = true;
        return false;
      }
      if (state == Tenure::settled) {
        withdraw();
        return withdrawn = true;
      }
      // The earlier place wins; a later one goes. An earlier one that does not move on (stopped, dead) goes too.
      if (passed_mine || clock().monotonic() >= patience || !companion_.presence().alive(tenure_owner(f.tenure))) {
        std::uint64_t offer = f.tenure;
        if (!f.entry->tenure.compare_exchange_strong(offer, next_tenure(f.tenure, Tenure::empty, me))) wait = true;
      } else {
        wait = true;
      }
      return false;
    });
    if (withdrawn) return {};
    if (wait) {
      if (clock().monotonic() >= patience && ++impatient > kRounds) {
        withdraw();
        throw_damaged(companion_);
      }
      sched_yield();
      continue;
    }
    SHERLOCK_STEP("table: the only one");
    // The key may have had a whole life since our fill(), somewhere else: made, used and forgotten. Whoever forgot it raised the floor before, and nobody
    // begins another without ending our offer. Then all begins anew, with another fence: what is here may be another key's by now, which is held.
    if (mine.entry->fence.load() <= companion_.header().floor.load()) {
      withdraw();
      return {};
    }
    const std::uint64_t settled = next_tenure(offered, Tenure::settled, me);
    std::uint64_t still = offered;
    if (!mine.entry->tenure.compare_exchange_strong(still, settled)) return {};
    SHERLOCK_STEP("table: settled");
    return {mine.entry, settled, mine.number};
  }
}

// Makes room among the places of a key: forgets one that nobody holds or waits for.
bool Table::recycle(const KeyHash& hash) {
  bool done = false;
  probe(hash, Places::all, [&](const Found& f) { return done = tenure_state(f.tenure) == Tenure::settled && forget_unused(f); });
  return done;
}

bool Table::forget_unused(const Found& found) {
  Entry& entry = *found.entry;
  std::uint64_t word = entry.word.load();
  if (gate::state(word) != GateState::free && gate::state(word) != GateState::reserved) return false;
  // The marks of waiters may be those of the dead, for ever; who waits without a cell of its own is woken and finds the key anew.
  if ((gate::state(word) == GateState::reserved || gate::flags(word) != 0) && WaitCells{companion_}.count(found.number) != 0) return false;
  if (stragglers::any(entry) || (entry.marks.load() & kAbandoned) != 0) return false;  // the next holder needs to know
  const std::uint64_t mine = gate::taken_by(companion_.presence().me(), word);
  SHERLOCK_STEP("recycle: judged");
  if (!entry.word.compare_exchange_strong(word, mine | gate::flags(word))) return false;
  SHERLOCK_STEP("recycle: the gate is taken");
  if (found.current()) {
    forget(found, mine);
    return true;
  }
  pass_on(entry, mine);  // given to another key meanwhile, and free there
  return false;
}

void Table::forget(const Found& found, std::uint64_t mine) {
  Header& header = companion_.header();
  const std::uint64_t fence = fence_of(found.entry->fence.load(), gate::tag(mine));
  std::uint64_t floor = header.floor.load();
  while (floor < fence && !header.floor.compare_exchange_weak(floor, fence)) {
  }
  SHERLOCK_STEP("forget: the floor is raised");
  // The tenure first: who takes the word after it is free looks at the tenure next. From then on the word may be the next key's.
  std::uint64_t tenure = found.tenure;
  found.entry->tenure.compare_exchange_strong(tenure, next_tenure(found.tenure, Tenure::empty, companion_.presence().me()));
  SHERLOCK_STEP("forget: the tenure is over");
  std::uint64_t word = found.entry->word.load();
  while (gate::core(word) == gate::core(mine) &&
         !found.entry->word.compare_exchange_weak(word, gate::make(GateState::free, {}, gate::tag(word) + 1))) {
  }
  SHERLOCK_STEP("forget: the word is free");
  // Who began to wait meanwhile waits at the wrong place.
  if (gate::flags(word) != 0)
    for (Word* sleepers : {&found.entry->heir, &found.entry->queue, &found.entry->elders}) {
      sleepers->fetch_add(1);
      posix::futex_wake_all(*sleepers);
    }
}

void Table::for_each(const std::function<void(const Found&)>& visit) const {
  const std::uint32_t segments = companion_.segments();
  for (std::uint32_t s = 0; s < segments; ++s)
    for (std::uint32_t i = 0; i < segment_shape(s).entries; ++i) {
      Entry& entry = companion_.entry(s, i);
      const Found found{&entry, entry.tenure.load(), Companion::number(s, i)};
      if (tenure_state(found.tenure) == Tenure::settled) visit(found);
    }
}

void Table::write_default_label(Entry& entry) {
  const auto text = companion_.text(entry.text.load());
  if (!text) return;
  const auto size = shared(text.block->label_size);
  if (size.load(std::memory_order_relaxed) != kProgramsName) size.store(kProgramsName, std::memory_order_relaxed);
}

void Table::write_label(Entry& entry, std::string_view label) {
  Companion::Text room = companion_.text(entry.text.load());
  if (!room) return;
  Lengths lengths{*room.block};
  if (std::uint64_t{lengths.ns} + lengths.name + label.size() > room.capacity) {
    // Once in the life of an entry: from now on there is room for the longest. A label is only for people; the lock does not fail for it.
    const auto before = text(entry);
    if (!before) return;
    const auto names = static_cast<std::uint32_t>(before->ns.size() + before->name.size());
    const std::uint32_t offset = companion_.allocate_text(names + kLongestLabel);
    room = companion_.text(offset);
    if (offset == 0 || !room || room.capacity < names + label.size()) return write_default_label(entry);
    write_names(*room.block, before->ns, before->name);
    lengths.ns = static_cast<std::uint32_t>(before->ns.size());
    lengths.name = static_cast<std::uint32_t>(before->name.size());
    entry.text.store(offset);
  }
  char* bytes = reinterpret_cast<char*>(room.block + 1) + lengths.ns + lengths.name;
  for (std::size_t i = 0; i < label.size(); ++i) shared(bytes[i]).store(label[i], std::memory_order_relaxed);
  shared(room.block->label_size).store(static_cast<std::uint16_t>(label.size()), std::memory_order_relaxed);
}

std::optional<Text> Table::text(const Entry& entry) const {
  const std::uint32_t offset = entry.text.load();
  const Companion::Text found = offset ? companion_.text(offset) : Companion::Text{};
  if (!found) return std::nullopt;
  const Lengths lengths{*found.block};
  const bool programs_name = lengths.label == kProgramsName;
  if (lengths.ns + lengths.name + (programs_name ? 0 : lengths.label) > found.capacity) return std::nullopt;
  char* bytes = reinterpret_cast<char*>(found.block + 1);
  Text text{{bytes, lengths.ns}, {bytes + lengths.ns, lengths.name}, std::nullopt};
  if (!programs_name) {
    text.label.emplace(lengths.label, '\0');
    for (std::uint32_t i = 0; i < lengths.label; ++i)
      (*text.label)[i] = shared(bytes[lengths.ns + lengths.name + i]).load(std::memory_order_relaxed);
  }
  return text;
}

}  // namespace sherlock::local
