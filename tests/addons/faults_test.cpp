// SPDX-License-Identifier: MIT
// That the fault run finds what it looks for: locks that are wrong, each in one way.
#include "addons/faults.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "catch.hpp"

using namespace std::chrono_literals;
using namespace sherlock;
using support::FaultFigures;
using support::FaultSubject;

namespace {

enum class Wrong { grants_to_all, counts_nothing, takes_its_time };

// Needs no store: whoever asks is granted.
class WrongLock final : public BaseLock {
 public:
  WrongLock(Wrong wrong, std::string name, Options options) : BaseLock{std::move(name), std::move(options), {.fences = true}, "wrong"}, wrong_{wrong} {}
  ~WrongLock() override { let_go(); }

 private:
  std::optional<Grant> do_acquire(const Claim& claim) override {
    if (wrong_ == Wrong::takes_its_time) std::this_thread::sleep_for(2500ms);
    return Grant{.fence = wrong_ == Wrong::counts_nothing ? 1 : static_cast<std::uint64_t>(claim.now().count())};
  }
  bool do_release(const Claim&) override { return true; }
  bool do_renew(const Claim&) override { return true; }
  bool do_locked(const Claim&) const override { return false; }
  std::optional<Holder> do_holder(const Claim&) const override { return {}; }

  const Wrong wrong_;
};

FaultFigures play(Wrong wrong, int faults) {
  const FaultSubject subject{.name = "wrong",
                             .make_lock = [wrong](const std::string&, std::string name, Options options) -> std::unique_ptr<BaseLock> {
                               return std::make_unique<WrongLock>(wrong, std::move(name), std::move(options));
                             },
                             .direct = "",
                             .through = [](int) { return std::string{}; },
                             .server = support::free_port(),
                             .stop = [] {},
                             .resume = [] {},
                             .kill = [] {},
                             .restart = [] {},
                             .forgets = false};
  return support::play_faults(subject, {.seed = 1, .faults = faults, .lease = 200ms, .slack = 500ms});
}

// A busy machine may keep a run from seeing what it is about.
template <class Figure>
FaultFigures play_until(Figure FaultFigures::* seen, Wrong wrong, int faults) {
  FaultFigures figures = play(wrong, faults);
  for (int i = 0; i < 9 && !(figures.*seen > 0); ++i) figures = play(wrong, faults);
  return figures;
}

}  // namespace

TEST_CASE("a fault run sees two that hold a lock at a time, and that the first was not told", "[faults][process]") {
  const FaultFigures figures = play_until(&FaultFigures::untold, Wrong::grants_to_all, 8);
  CHECK(figures.acquisitions > 0);
  CHECK(figures.overlaps > 0);
  CHECK(figures.untold > 0);
  CHECK_FALSE(figures.good());
}

TEST_CASE("a fault run sees fences that do not grow", "[faults][process]") {
  CHECK(play_until(&FaultFigures::fences, Wrong::counts_nothing, 4).fences > 0);
}

TEST_CASE("a fault run sees verbs that take too long", "[faults][process]") {
  CHECK(play_until(&FaultFigures::hangs, Wrong::takes_its_time, 10).hangs > 0);
}
