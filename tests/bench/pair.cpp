// SPDX-License-Identifier: MIT
// lock() and unlock() of a free lock, again and again: what the lock itself costs. Nobody sleeps in it, so it is the processor's time that is counted: it
// leaves out what others do on a busy machine.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <random>

#include "bench.hpp"
#include "python.hpp"

namespace bench {
namespace {

using namespace std::chrono_literals;

struct Promise {
  const char* backend;
  const char* of;  // times whom
  double pair;
  std::optional<double> leased;
};
constexpr Promise kPromises[] = {{"file", "flock(2)", 2.2, 3.0}, {"shm", "pthread robust mutex", 1.2, 3.0}, {"sqlite", "bare SQLite rows", 1.3, {}}};

class Side {
 public:
  Side(const Kind& kind, const Bench& bench, Python& python) : kind_{kind}, path_{bench.place / "pair"}, python_{python} {
    if (kind.make) lock_ = kind.make();
    ns(20);  // what is opened at the first use is not what is measured
    const double once = ns(bench.choose(1000, 200, 20)), ms = bench.choose(3.0, 2.0, 1.0);
    // Shorter than a slice of the processor's time, so that most turns are not interrupted on a busy machine either.
    enough_ = std::max(10L, static_cast<long>(ms * 1e6 / once));
  }
  void measure() { all.push_back(ns(enough_)); }

  std::vector<double> all;

 private:
  double ns(long n) {
    if (!lock_) return python_.ask(fmt::format("pair {} {}.{} {}", kind_.python, path_, kind_.python, n)).front();
    const std::int64_t begin = processor_time();
    lock_->pairs(n);
    return static_cast<double>(processor_time() - begin) / static_cast<double>(n);
  }

  const Kind& kind_;
  const std::string path_;
  Python& python_;
  std::unique_ptr<Contender> lock_;
  long enough_;
};

}  // namespace

void pair(Bench& bench) {
  std::vector<Kind> kinds = peers({Peer::cas, Peer::futex, Peer::robust, Peer::boost, Peer::flock, Peer::ofd, Peer::boost_file, Peer::rows, Peer::begin},
                                  bench.place / "pair");
  for (const auto& store : bench.stores) {
    kinds.push_back(sherlock(*store, "pair"));
    kinds.push_back(sherlock(*store, "leased pair", {.expire = 60s}));
  }
  std::vector<std::string> missing;
  for (const Kind& kind : python_kinds(bench.programs, missing)) kinds.push_back(kind);
  for (const std::string& package : missing) bench.report.note("skipped: " + package + " is not installed");

  Python python{bench.programs};
  std::vector<std::unique_ptr<Side>> sides;
  for (const Kind& kind : kinds) sides.push_back(std::make_unique<Side>(kind, bench, python));
  const int turns = bench.choose(150, 40, 2);
  std::mt19937 dice{1};
  for (int turn = 0; turn < turns; ++turn) {
    if (turn % 10 == 0) bench.report.progress(fmt::format("turn {} of {}", turn + 1, turns));
    // In another order each time, so that nobody has the same place in the rhythm of something else.
    std::vector<Side*> order;
    for (const auto& side : sides) order.push_back(side.get());
    std::shuffle(order.begin(), order.end(), dice);
    for (Side* side : order) side->measure();
  }

  std::map<std::string, std::vector<double>> times;
  for (std::size_t i = 0; i < kinds.size(); ++i) times[kinds[i].name] = sides[i]->all;
  for (const Promise& promise : kPromises) {
    if (!bench.store(promise.backend)) continue;
    const std::string ours = std::string{"sherlock "} + promise.backend;
    const auto tell = [&](const std::string& who, std::optional<double> bound) {
      std::vector<double> ratios;
      for (std::size_t i = 0; i < times[who].size(); ++i) ratios.push_back(times[who][i] / times[promise.of][i]);
      bench.report.add({fmt::format("uncontended pair, times {}", promise.of), who, median(ratios), "x", bound ? std::optional{Bound{*bound}} : std::nullopt});
    };
    tell(ours, promise.pair);
    tell(ours + ", leased", promise.leased);
  }
  for (const Kind& kind : kinds) bench.report.add({"uncontended pair", kind.name, median(times[kind.name]), "ns"});
}

}  // namespace bench
