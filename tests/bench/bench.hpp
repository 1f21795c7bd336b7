// SPDX-License-Identifier: MIT
// The figures that are promised, one section each. Ratios come from repetitions of both sides in turn, so that a busy machine is busy for both.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "contender.hpp"
#include "stress/stress.hpp"

namespace bench {

using stress::now_ns;

// What is promised of a backend, where a number is.
struct Bounds {
  std::optional<double> pair, pair_with_lease, hand_off;  // times the anchor
  double death_with_much_memory = 30'000;  // microseconds; the kernel takes 12,500 of them
};

class Report {
 public:
  Report(bool json, std::string backend) : json_{json}, backend_{std::move(backend)} {}
  void section(const std::string& name);
  // A row: what was measured, and what is promised of it at most.
  void row(const std::string& what, double figure, const std::string& unit, std::optional<double> bound = {});
  void note(const std::string& text);

 private:
  const bool json_;
  const std::string backend_;
  std::string section_;
};

struct Bench {
  const stress::Store& store;
  Report& report;
  bool smoke;  // as little as shows that the section works
  std::string program;  // sherlock, the program
  Bounds bounds;
  int choose(int usual, int least) const { return smoke ? least : usual; }
};

void pair(Bench& bench);
void hand_off(Bench& bench);
void death(Bench& bench);
void fairness(Bench& bench);
void foreign(Bench& bench);
void spurious(Bench& bench);
void run(Bench& bench);
void idle(Bench& bench);

// Of a copy, in any order; not of nothing.
double quantile(std::vector<double> all, double q);
inline double median(std::vector<double> all) { return quantile(std::move(all), 0.5); }

// Waits by looking, without giving up the processor for long; throws when it takes 20 s.
template <class Ready>
void await(Ready ready) {
  for (const std::int64_t give_up = now_ns() + 20'000'000'000; !ready();) {
    if (now_ns() > give_up) throw std::runtime_error{"a process does not do its part"};
    stress::nap(stress::microseconds{20});
  }
}

// Children end with their bench, however that ends.
class Children {
 public:
  ~Children();
  template <class Body>
  pid_t add(Body body) {
    pids_.push_back(stress::spawn(std::move(body)));
    return pids_.back();
  }
  // Waits for all; throws where one failed.
  void join();

 private:
  std::vector<pid_t> pids_;
};

}  // namespace bench
