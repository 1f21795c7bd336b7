// SPDX-License-Identifier: MIT
#include "local/facts.hpp"

#include <chrono>
#include <cstring>
#include <string>

#include <sherlock/clock.hpp>

#include "local/parking.hpp"
#include "local/word.hpp"

namespace sherlock::local {

using std::chrono::nanoseconds;
using std::chrono::system_clock;

namespace {

template <std::size_t N>
std::string bounded(const char (&text)[N]) {
  return {text, strnlen(text, N)};
}

}  // namespace

Holder facts_of(const Companion& companion, const Table& table, const Found& found, std::uint64_t word) {
  Holder holder;
  const GateState state = gate::state(word);
  if (state == GateState::free || state == GateState::reserved) return holder;
  const Slot& slot = companion.slot(gate::slot(word));
  holder.pid = slot.pid;
  holder.uid = slot.uid;
  holder.program = bounded(slot.program);
  holder.host = bounded(slot.host);
  if (state != GateState::held) return holder;
  const auto text = table.text(*found.entry);
  holder.label = text && text->label ? *text->label : holder.program;
  const nanoseconds since{static_cast<std::int64_t>(found.entry->since.load())};
  // Anybody may have written it: what lies before 1970 is nobody's time, and cannot be counted with.
  if (since.count() > 0) holder.since = system_clock::time_point{std::chrono::duration_cast<system_clock::duration>(since)};
  holder.fence = found.entry->fence.load();
  if (const std::uint64_t micros = found.entry->expiry.load() >> 16) {
    const nanoseconds left = nanoseconds{static_cast<std::int64_t>(micros * kMicros)} - clock().boottime();
    holder.expiry = clock().wall() + std::chrono::duration_cast<system_clock::duration>(left);
  }
  return holder;
}

}  // namespace sherlock::local
