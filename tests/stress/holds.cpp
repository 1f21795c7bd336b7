// SPDX-License-Identifier: MIT
#include "holds.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <string>

namespace stress {
namespace {

struct Interval {
  std::int64_t start, deadline, end, answered;
  std::uint64_t fence;
  bool told, killed;
  Hold::Kind kind;
  int worker;
};

std::vector<Interval> copy_of(HoldLog& log) {
  std::vector<Interval> all;
  const std::uint64_t used = std::min(log.used.load(), kMaxHolds);
  for (std::uint64_t i = 0; i < used; ++i) {
    const Hold& h = log.hold[i];
    if (h.start == 0) continue;  // killed while it wrote this down
    const std::int64_t end = h.end ? h.end.load() : std::numeric_limits<std::int64_t>::max();
    all.push_back({h.start, h.deadline, std::max(end, h.start.load()), h.answered, h.fence, h.told, h.killed, h.kind, h.worker});
  }
  std::sort(all.begin(), all.end(), [](const Interval& a, const Interval& b) { return a.start < b.start; });
  return all;
}

// What cannot be repeated by its seed: who met whom, in microseconds since the later one came.
void show(const Interval& first, const Interval& next) {
  for (const Interval* const one : {&first, &next}) {
    const auto since = [&](std::int64_t time) { return (time - next.start) / 1000; };
    fmt::print(stderr, "  {} {}{}: {} to {}, deadline {}, fence {}{}{}\n", one == &first ? "met" : "beside",
               one->kind == Hold::foreign ? "foreigner "
               : one->kind == Hold::lease ? "lease of "
                                          : "hold of ",
               one->worker, since(one->start), since(one->end),
               one->deadline == std::numeric_limits<std::int64_t>::max() ? "never" : std::to_string(since(one->deadline)), one->fence,
               one->told ? ", told" : "", one->killed ? ", killed" : "");
  }
}

// May have been lost without a word, where the store is removed.
bool brief(const Interval& i) { return i.end - i.start < kUntoldBelow; }

// Whose lease was over before he could write it down: his successor may have been and gone.
bool written_late(const Interval& i) { return i.kind == Hold::lease && (i.told || i.killed) && i.start >= i.deadline; }

// Whoever was granted after another had ended must have the larger fence.
std::uint64_t fences_back(std::vector<Interval> by_start, Removal removal) {
  std::erase_if(by_start, [](const Interval& i) { return i.kind == Hold::foreign || written_late(i) || (i.told && i.end == i.start); });
  std::vector<Interval> by_end = by_start;
  std::sort(by_end.begin(), by_end.end(), [](const Interval& a, const Interval& b) { return a.end < b.end; });
  std::uint64_t wrong = 0, highest = 0;
  std::size_t ended = 0;
  for (const Interval& later : by_start) {
    for (; ended < by_end.size() && by_end[ended].end <= later.start; ++ended) highest = std::max(highest, by_end[ended].fence);
    const bool of_the_removed = removal == Removal::of_everything && (later.told || later.killed || brief(later));
    if (highest >= later.fence && !of_the_removed) ++wrong;
  }
  return wrong;
}

}  // namespace

Hold* HoldLog::begin(Hold::Kind kind, int worker, std::int64_t start, std::int64_t deadline, std::uint64_t fence,
                     std::atomic<Hold*>* open) {
  const std::uint64_t i = used.fetch_add(1);
  if (i >= kMaxHolds) return nullptr;
  Hold& h = hold[i];
  h.kind = kind;
  h.worker = worker;
  h.deadline = deadline;
  h.fence = fence;
  if (open) *open = &h;  // before it counts: whoever is killed in between leaves no hold without an end
  h.start = start;
  return &h;
}

Verdict judge(HoldLog& log, Removal removal) {
  Verdict v;
  const std::vector<Interval> all = copy_of(log);
  std::vector<Interval> open;  // those that may still overlap what comes
  for (const Interval& next : all) {
    ++v.holds;
    if (next.kind == Hold::lease) ++v.leases;
    if (next.kind == Hold::foreign) ++v.foreign;
    std::erase_if(open, [&](const Interval& o) { return o.end <= next.start; });
    for (const Interval& first : open) {
      const bool with_foreigner = first.kind == Hold::foreign || next.kind == Hold::foreign;
      const bool told = first.told || first.killed;
      if (removal != Removal::none && !with_foreigner && (told || next.told || next.killed)) {
        ++v.late_overlaps;
        continue;
      }
      // A foreigner knows nothing of leases: it may meet nobody, late or not.
      const bool over = first.kind == Hold::lease && next.kind != Hold::foreign && next.start >= first.deadline;
      if ((over && told) || (first.kind != Hold::foreign && written_late(next)))
        ++v.late_overlaps;
      else if (removal != Removal::none && !with_foreigner && std::min(first.end, next.end) - next.start < kUntoldBelow)
        ++v.short_untold;
      else {
        ++(over ? v.untold : v.overlaps);
        show(first, next);
      }
    }
    open.push_back(next);
  }
  if (removal == Removal::none)
    for (const Interval& i : all) v.false_losses += i.told && (i.kind != Hold::lease || (i.answered != 0 && i.answered < i.deadline));
  v.fences_back = fences_back(all, removal);
  return v;
}

}  // namespace stress
