// SPDX-License-Identifier: MIT
#include "backends/file/inspect.hpp"

#include <sherlock/clock.hpp>

#include "backends/file/lock_file.hpp"
#include "local/facts.hpp"
#include "local/parking.hpp"
#include "local/presence.hpp"
#include "local/wait_cells.hpp"
#include "local/word.hpp"

namespace sherlock::file {

using local::GateState;
namespace gate = local::gate;

namespace {

enum class Who { nobody, ours, foreigner };

struct Seen {
  Who who;
  std::uint64_t word = 0;
};

Seen look(FileStore& store, const std::string& file_name, const local::Found& found) {
  const local::Presence& presence = store.companion().presence();
  const auto file_is_locked = [&] { return LockFile::anybody_has(store, file_name, found.entry, presence); };
  if (!found) return {file_is_locked() ? Who::foreigner : Who::nobody};

  std::uint64_t word = 0;
  for (int round = 0; round < 50; ++round) {
    word = found.entry->word.load();
    const GateState state = gate::state(word);
    if (state == GateState::reserved) return {Who::ours, word};  // on its way from one of ours to the next
    if (state != GateState::free && presence.alive(word)) {
      if (state == GateState::foreign) return {Who::foreigner, word};
      const bool over = state == GateState::held && local::expired(*found.entry, word, clock().boottime());
      return {over ? Who::nobody : Who::ours, word};
    }
    if (!file_is_locked()) return {Who::nobody, word};
    if (found.entry->word.load() == word) return {Who::foreigner, word};
    // Locked by one of ours who has just come: look again.
  }
  return {Who::ours, word};
}

}  // namespace

bool held(FileStore& store, const std::string& file_name, const local::Found& found) {
  return look(store, file_name, found).who != Who::nobody;
}

std::optional<Holder> holder_of(FileStore& store, const std::string& file_name, const local::Found& found) {
  for (int round = 0;; ++round) {
    const Seen seen = look(store, file_name, found);
    if (seen.who == Who::nobody) return std::nullopt;
    Holder holder = seen.who == Who::ours ? local::facts_of(store.companion(), store.table(), found, seen.word) : Holder{};
    if (found) {
      holder.waiting = local::WaitCells{store.companion()}.count(found.number) + (gate::state(seen.word) == GateState::foreign ? 1 : 0);
      // Facts of two holders must not be mixed; if they change all the time, any of them will do.
      if (round < 10 && gate::core(found.entry->word.load()) != gate::core(seen.word)) continue;
    }
    return holder;
  }
}

}  // namespace sherlock::file
