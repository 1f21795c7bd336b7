// SPDX-License-Identifier: MIT
// The gate of one key without anything behind it: what a backend does with parking.hpp, and no more.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include <sherlock/clock.hpp>

#include "local/parking.hpp"
#include "local/presence.hpp"
#include "local/wait_cells.hpp"
#include "playground.hpp"

namespace playground {

using namespace sherlock::local;
using std::chrono::nanoseconds;

class Contender {
 public:
  explicit Contender(Companion& companion, std::uint64_t which = 1)
      : companion_{companion}, found_{Table{companion}.find_or_make(scattered_key(which), "", "gate")} {}

  // One who does not wait. What it took the gate from.
  std::optional<Taking> try_once(Precedence precedence = Precedence::ignored) {
    return take([&](std::uint64_t word) { return judge(companion_.presence(), entry(), word, precedence, [] { return boottime(); }); }, false);
  }
  // One turn of waiting, as a backend's do_wait and do_acquire.
  std::optional<Taking> wait_once(nanoseconds until = nanoseconds::max(), std::stop_token stop = {}) {
    waiter.wait(companion_, found_, until, std::move(stop));
    return take([&](std::uint64_t word) { return waiter.judge(companion_.presence(), entry(), word, boottime); }, true);
  }
  // Waits as long as it takes.
  Taking wait() {
    for (;;)
      if (const auto taken = wait_once()) return *taken;
  }
  bool release() {
    return pass_on(entry(), std::exchange(held_, 0), std::exchange(called_, Heir::not_called));
  }
  // As one who has something else to let go of before.
  Heir call() {
    if ((called_ = call_heir(entry(), held_)) == Heir::called) held_ = gate::with(held_, GateState::acquiring);
    return called_;
  }
  void leave() { waiter.leave(found_); }

  Entry& entry() const { return *found_.entry; }
  const Found& found() const { return found_; }
  std::uint64_t word() const { return entry().word.load(); }
  GateState state() const { return gate::state(word()); }
  bool heir_has_slept_since(nanoseconds when) const {
    return (word() & gate::kAsleep) != 0 && entry().heir_since.load() <= static_cast<std::uint64_t>(when.count());
  }
  bool mine() const { return held_ != 0 && gate::core(word()) == held_; }

  Waiter waiter;

 private:
  static nanoseconds boottime() { return sherlock::clock().boottime(); }

  template <class Judge>
  std::optional<Taking> take(Judge judge, bool waits) {
    for (;;) {
      std::uint64_t word = entry().word.load();
      const Taking from = judge(word);
      if (from == Taking::no || from == Taking::foreign) return std::nullopt;
      const std::uint64_t taken = gate::taken_by(companion_.presence().me(), word), before = word;
      if (!entry().word.compare_exchange_strong(word, taken | (waits ? waiter.flags_after_taking(entry(), word) : gate::flags(word)))) continue;
      if (waits) waiter.took(entry(), before);
      held_ = gate::with(taken, GateState::held);
      word = entry().word.load();
      while (!entry().word.compare_exchange_weak(word, held_ | gate::flags(word))) {
      }
      return from;
    }
  }

  Companion& companion_;
  const Found found_;
  std::uint64_t held_ = 0;
  Heir called_ = Heir::not_called;
};

}  // namespace playground
