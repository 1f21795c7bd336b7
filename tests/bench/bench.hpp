// SPDX-License-Identifier: MIT
// The figures that are promised, and what else a user would like to know before choosing a lock: one section each. All sides are measured in turns, in
// one run, so that a busy machine is busy for all of them, and ratios are taken within a turn.
#pragma once

#include <sys/prctl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "contender.hpp"
#include "report.hpp"
#include "stress/stress.hpp"
#include "support/temp_dir.hpp"

namespace bench {

using stress::now_ns;

// How much is measured: all that figures are worth quoting of; enough for a look; as little as shows that a section works.
enum class Amount { full, quick, smoke };

struct Bench {
  Report& report;
  const std::vector<std::unique_ptr<stress::Store>>& stores;  // of the section's own, so that none inherits another's waiters
  const support::TempDir& place;                              // where the others' locks are
  Amount amount;
  std::string programs;  // the directory of these: build/tests/bench
  std::string sherlock;  // the program; empty where there is none

  bool smoke() const { return amount == Amount::smoke; }
  template <class T>
  T choose(T full, T quick, T smoke) const {
    return amount == Amount::full ? full : amount == Amount::quick ? quick : smoke;
  }
  // Null where that backend is not measured.
  const stress::Store* store(std::string_view backend) const;
};

void pair(Bench& bench);
void hand_off(Bench& bench);
void contention(Bench& bench);
void turns(Bench& bench);
void death(Bench& bench);
void names(Bench& bench);
void waiters(Bench& bench);
void start(Bench& bench);
void run(Bench& bench);
void foreign(Bench& bench);
void looks(Bench& bench);
void idle(Bench& bench);

// Nanoseconds that this process has had of the processors.
inline std::int64_t processor_time() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// Of a copy, in any order; not of nothing.
double quantile(std::vector<double> all, double q);
inline double median(std::vector<double> all) { return quantile(std::move(all), 0.5); }

// Waits by looking, without giving up the processor for long; throws when it takes a minute.
// Where many wait, `nap` is to be long: their looks would be all that the machine does.
template <class Ready>
void await(Ready ready, stress::nanoseconds nap = stress::microseconds{20}) {
  for (const std::int64_t give_up = now_ns() + 60'000'000'000; !ready();) {
    if (now_ns() > give_up) throw std::runtime_error{"a process does not do its part"};
    stress::nap(nap);
  }
}

// Children end with their bench, however that ends: nothing is worse for figures than what an earlier run has left.
class Children {
 public:
  ~Children();
  template <class Body>
  pid_t add(Body body) {
    pids_.push_back(stress::spawn([&] {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      body();
    }));
    return pids_.back();
  }
  // Waits for all; throws where one failed.
  void join();
  // Whether none has ended yet.
  bool all_there() const;

 private:
  std::vector<pid_t> pids_;
};

}  // namespace bench
