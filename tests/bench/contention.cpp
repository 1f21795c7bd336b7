// SPDX-License-Identifier: MIT
// Everybody wants one lock all the time and does nothing in it. Pairs a second alone flatter a lock that lets one process have it again and again, so
// the changes of holder are counted too, and what the luckiest got beside the unluckiest.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "bench.hpp"
#include "python.hpp"

namespace bench {
namespace {

constexpr int kMost = 64;

struct State {
  std::atomic<int> ready;
  std::atomic<bool> go, stop;
  alignas(64) std::atomic<int> last;  // who had it; written by holders
  struct alignas(64) Count {
    std::atomic<std::uint64_t> pairs, changes;
  } count[kMost];
};

void want(State& s, const Kind& kind, int me) {
  const auto lock = kind.make();
  lock->pairs(1);
  s.ready.fetch_add(1);
  await([&] { return s.go.load(); }, stress::milliseconds{5});
  auto& mine = s.count[me];
  for (std::uint64_t pairs = 1; !s.stop.load(std::memory_order_relaxed); ++pairs) {
    lock->lock();
    mine.pairs.store(pairs, std::memory_order_relaxed);
    if (s.last.load(std::memory_order_relaxed) != me + 1) {
      s.last.store(me + 1, std::memory_order_relaxed);
      mine.changes.store(mine.changes.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    lock->unlock();
  }
}

struct Outcome {
  double pairs = 0, changes = 0;   // a second
  std::optional<double> lucky{};   // times the unluckiest; none: that one had nothing
  int starved = 0;
};

Outcome judged(const std::vector<double>& pairs, double changes, double seconds) {
  Outcome o;
  for (const double n : pairs) {
    o.pairs += n / seconds;
    o.starved += n == 0;
  }
  o.changes = changes / seconds;
  const auto [least, most] = std::minmax_element(pairs.begin(), pairs.end());
  if (*least > 0) o.lucky = *most / *least;
  return o;
}

Outcome measure(const Kind& kind, int processes, double seconds) {
  const stress::Shared<State> s;
  Children all;
  for (int i = 0; i < processes; ++i) all.add([&, i] { want(*s, kind, i); });
  await([&] { return s->ready == processes; });
  const std::int64_t begin = now_ns();
  s->go = true;
  stress::nap(stress::nanoseconds{static_cast<std::int64_t>(seconds * 1e9)});
  std::vector<double> pairs;
  double changes = 0;
  for (int i = 0; i < processes; ++i) {
    pairs.push_back(static_cast<double>(s->count[i].pairs.load()));
    changes += static_cast<double>(s->count[i].changes.load());
  }
  const double took = static_cast<double>(now_ns() - begin) / 1e9;
  s->stop = true;
  all.join();
  return judged(pairs, changes, took);
}

}  // namespace

void contention(Bench& bench) {
  std::vector<Kind> kinds = peers({Peer::cas, Peer::futex, Peer::boost, Peer::flock, Peer::ofd, Peer::boost_file, Peer::begin, Peer::robust},
                                  bench.place / "contention");
  const auto robust = kinds.size() - 1;
  for (const char* backend : {"shm", "file", "sqlite"})  // shm next to what it is compared with
    if (const stress::Store* store = bench.store(backend)) kinds.push_back(sherlock(*store, "contention", {.timeout = std::chrono::seconds{60}}));
  std::vector<std::string> missing;
  for (const Kind& kind : python_kinds(bench.programs, missing)) kinds.push_back(kind);
  for (const std::string& package : missing) bench.report.note("skipped: " + package + " is not installed");

  Python python{bench.programs};
  for (const int processes : {2, 4, 16, 64}) {
    if (bench.smoke() && processes > 4) break;
    double of_robust = 0;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      const Kind& kind = kinds[i];
      const bool bounded = i >= robust && kind.make, shm = kind.name == "sherlock shm";
      if (!kind.make && processes != 2 && (processes != 16 || bench.smoke())) continue;  // with 64 it would take minutes
      const double seconds = shm || i == robust ? bench.choose(5.0, 1.0, 0.1) : bounded ? bench.choose(3.0, 1.0, 0.1) : bench.choose(1.0, 0.3, 0.1);
      bench.report.progress(fmt::format("{} processes, {}", processes, kind.name));
      Outcome o;
      if (kind.make) {
        o = measure(kind, processes, seconds);
      } else {
        const int ms = static_cast<int>(seconds * 1000);
        std::vector<double> counts = python.ask(fmt::format("contend {} {}.{}.{} {} {}", kind.python, bench.place / "contention", kind.python, processes, processes, ms));
        const double took = counts.front();
        counts.erase(counts.begin());
        o = judged(counts, std::nan(""), took);
      }
      const auto tell = [&](const char* what, std::optional<double> value, const char* unit, std::optional<Bound> bound = {}) {
        bench.report.add({what, kind.name, value, unit, bound, processes, "processes"});
      };
      if (i == robust) of_robust = o.pairs;
      if (shm) tell("contended pairs a second, times pthread robust mutex", o.pairs / of_robust, "x", Bound{1.0, Bound::at_least});
      tell("contended pairs a second", o.pairs, "/s");
      if (!std::isnan(o.changes)) tell("changes of holder a second", o.changes, "/s");
      tell("the luckiest process, times the unluckiest", o.lucky, "x", shm ? std::optional{Bound{3.0}} : std::nullopt);
      tell("processes that got nothing", o.starved, "", bounded && i != robust ? std::optional{Bound{0}} : std::nullopt);
    }
  }
}

}  // namespace bench
