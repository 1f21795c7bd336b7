// SPDX-License-Identifier: MIT
#include "backends/sqlite/write_gate.hpp"

#include <fmt/core.h>

#include <algorithm>

#include <sherlock/clock.hpp>

#include "core/failure.hpp"
#include "local/parking.hpp"
#include "local/presence.hpp"
#include "local/steps.hpp"
#include "local/word.hpp"

namespace sherlock::sqlite {

using local::GateState;
using local::Taking;
using std::chrono::nanoseconds;
namespace gate = local::gate;

namespace {

// No key's: a key's hash is a name-based UUID, whose version stands where this has none.
constexpr local::KeyHash kHash{{0x7772697465206761, 0x7465000000000000}};
constexpr nanoseconds kRound = std::chrono::milliseconds{100};

std::uint64_t taken(const local::Presence& presence, std::uint64_t word) {
  return gate::with(gate::taken_by(presence.me(), word), GateState::held);
}

}  // namespace

WriteGate::WriteGate(local::Companion& companion, local::Table& table, nanoseconds answer_by) : companion_{companion}, table_{table} { pin(answer_by); }

// Entries that nobody uses are given to other keys; a mark keeps this one from it. It is set by whoever has the word, so that who is just
// about to take the entry away finds another word than the one that was judged.
void WriteGate::pin(nanoseconds answer_by) {
  for (;;) {
    found_ = table_.find_or_make(kHash, "", "");
    const Pass pass = enter([answer_by] { return answer_by; });
    if (!found_.current()) continue;
    found_.entry->marks.fetch_or(local::kAbandoned);
    return;
  }
}

WriteGate::Pass::~Pass() { local::pass_on(*gate_.found_.entry, mine_); }

// 0: there is a wait.
std::uint64_t WriteGate::try_enter() {
  std::uint64_t word = found_.entry->word.load();
  if (gate::state(word) != GateState::free) return 0;
  const std::uint64_t mine = taken(companion_.presence(), word);
  if (!found_.entry->word.compare_exchange_strong(word, mine | gate::flags(word))) return 0;
  SHERLOCK_STEP("sqlite gate: taken");
  return mine;
}

std::uint64_t WriteGate::wait_to_enter(nanoseconds answer_by) {
  local::Entry& entry = *found_.entry;
  const local::Presence& presence = companion_.presence();
  presence.rearm();
  local::Waiter waiter;
  for (;;) {
    std::uint64_t word = entry.word.load();
    const Taking taking = waiter.waiting() ? waiter.judge(presence, entry, word, [] { return std::chrono::nanoseconds{}; })
                                           : local::judge(presence, entry, word, local::Precedence::respected, [] { return nanoseconds{}; });
    if (taking != Taking::no) {
      const std::uint64_t before = word, mine = taken(presence, word);
      const std::uint64_t flags = waiter.waiting() ? waiter.flags_after_taking(entry, word) : gate::flags(word);
      if (!entry.word.compare_exchange_strong(word, mine | flags)) continue;
      SHERLOCK_STEP("sqlite gate: taken after a wait, or from the dead");
      if (waiter.waiting()) waiter.took(entry, before);
      return mine;
    }
    const nanoseconds now = clock().monotonic();
    if (now >= answer_by) {
      waiter.leave(found_);
      const std::int32_t pid = companion_.slot(gate::slot(word)).pid;
      throw detail::Failure{Errc::busy, fmt::format("{}: process {} has been at the database for all this time; is it stopped?", companion_.path(), pid)};
    }
    waiter.wait(companion_, found_, std::min(answer_by, now + kRound), {});
  }
}

}  // namespace sherlock::sqlite
