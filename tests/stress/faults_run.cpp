// SPDX-License-Identifier: MIT
// A system call fails, or there is no memory: any call, any error, once or from then on. Whoever asked is told by an exception of ours, or has what he asked
// for; "somebody has it" is never the answer of a broken kernel, nobody gets what another one has, nothing is left open, and when the fault is over all is well.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <vector>

#include "memory.hpp"
#include "points.hpp"
#include "store.hpp"
#include "stress.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr int kErrors[] = {EIO, ENOSPC, EMFILE, ENFILE, ENOMEM, EINTR, EAGAIN, EACCES, EPERM, EROFS, EDQUOT, ENOLCK, ENOSYS, EBADF, EINVAL};

// What fails: which call, the how manieth of them from when it is armed, how, and whether all that follow fail, too. "" is memory.
struct Plan {
  std::string call;
  long nth = 0;
  int error = 0;
  bool from_then_on = false;
  bool contended = false;
};

// Between the process that is hurt and its supervisor.
struct Seat {
  std::atomic<bool> holds, let_go, told, left, overlap;  // left: by the end of an object that could not let go
  std::atomic<std::uint64_t> allocations;
  char wrong[256];
};

class Faults {
 public:
  Faults(const Store& store, Seat& seat, const Plan& plan) : store_{store}, seat_{seat}, plan_{plan} {}

  // In a process of its own.
  void be_hurt() {
    use_again("another");
    const bool memory = plan_.call.empty();
    if (!memory) before_each_call([this](const char* call) { return fault(call); });
    fail_memory(memory ? plan_.nth : 0, !memory ? 0 : plan_.from_then_on ? 3 : 1);
    armed_ = true;
    use();
    armed_ = false;
    seat_.allocations = allocations_until_now();
    fail_memory(0, 0);
    if (plan_.contended) {
      seat_.let_go = true;
      while (seat_.holds) nap(100us);
    }
    if (!strangers_are_left_alone()) wrong("a stranger's descriptor was closed");
    // What could not be let go by the end of its object is its process's until that has ended.
    const bool blind = plan_.call == "fstat" && plan_.from_then_on;
    if (!seat_.left && !blind) use_again("x");
    // A store that could not be looked at counts as removed, and is opened anew: once, and not again and again.
    use_again("another");
    const int before = descriptors();
    for (int i = 0; i < 3; ++i) use_again("another");
    if (const int now = descriptors(); now > before) wrong(fmt::format("{} descriptors, and before {}", now, before));
  }

  // How often each call was made while something might have failed.
  const std::map<std::string, long>& made() const { return made_; }

 private:
  void wrong(const std::string& what) {
    if (seat_.wrong[0] == '\0') what.copy(seat_.wrong, sizeof seat_.wrong - 1);
  }

  // The store could not be looked at. What nobody can tell to be ours is not closed, for it may be a stranger's by now.
  void lost() {
    seat_.told = true;
    if (plan_.call == "fstat" || plan_.from_then_on) seat_.left = true;
  }

  int fault(const char* call) {
    if (!armed_) return 0;
    const long n = ++made_[call];
    if (plan_.call != call || n < plan_.nth || (n > plan_.nth && !plan_.from_then_on)) return 0;
    if (plan_.error == EINTR && n > plan_.nth) return 0;  // a signal that never ends would be one
    return plan_.error;
  }

  template <class Verb>
  void attempt(const char* name, Verb verb) {
    try {
      verb();
    } catch (const sherlock::BackendException& e) {
      seat_.told = true;
      if (e.code().value() == 0 || *e.what() == '\0') wrong(fmt::format("{}: an error without a code or a text", name));
    } catch (const sherlock::LockLostException&) {
      lost();
    } catch (const sherlock::LockNotHeldException&) {
      if (!seat_.told) wrong(fmt::format("{}: not held, and nothing had failed", name));
    } catch (const sherlock::LockTimeoutException&) {
      if (!plan_.contended && !seat_.told) wrong(fmt::format("{}: a timeout, and nobody has it", name));
    } catch (const std::bad_alloc&) {
      seat_.told = true;
      if (!plan_.call.empty()) wrong(fmt::format("{}: bad_alloc", name));
    } catch (const std::exception& e) {
      wrong(fmt::format("{}: {}", name, e.what()));
    }
  }

  void use() {
    const auto end_of_hold = [this](const sherlock::LockException& why) {
      lost();
      if (dynamic_cast<const sherlock::BackendException*>(&why)) seat_.left = true;
    };
    for (const sherlock::Duration expire : {sherlock::never, sherlock::Duration{1h}}) {
      std::unique_ptr<sherlock::BaseLock> lock;
      attempt("make", [&] { lock = store_.lock("x", {.expire = expire, .timeout = 30ms, .label = "somebody's label that is not short", .on_lost = end_of_hold}); });
      if (!lock) continue;
      attempt("try_acquire", [&] {
        if (lock->try_acquire() == plan_.contended && !seat_.left) wrong(plan_.contended ? "granted what another one has" : "a free lock was refused");
      });
      if (plan_.contended) {
        attempt("acquire", [&] {
          lock->acquire();
          wrong("granted after a wait what another one has");
        });
        attempt("locked", [&] {
          if (!lock->locked()) wrong("a lock that is held looks free");
        });
        continue;
      }
      const bool held = lock->held();
      attempt("locked", [&] {
        if (held && !lock->locked() && !seat_.told) wrong("a lock that is held looks free");
      });
      attempt("holder", [&] { (void)lock->holder(); });
      attempt("list", [&] { (void)store_.list(); });
      attempt("renew", [&] {
        if (held && !lock->renew()) lost();
      });
      attempt("release", [&] { lock->release(); });
      if (lock->held()) attempt("release again", [&] { lock->release(); });
    }
    if (!plan_.contended) attempt("clean", [&] { (void)store_.clean(); });
  }

  // Nothing fails any more.
  void use_again(const char* name) {
    try {
      const auto lock = store_.lock(name, {.timeout = 10s});
      lock->acquire();
      if (!lock->renew()) wrong("afterwards: a loss");
      lock->release();
    } catch (const std::exception& e) {
      wrong(fmt::format("afterwards: {}", e.what()));
    }
  }

  const Store& store_;
  Seat& seat_;
  const Plan& plan_;
  bool armed_ = false;
  std::map<std::string, long> made_;
};

void hold_until_told(const Store& store, Seat& seat) {
  const auto lock = store.lock("x");
  lock->acquire();
  seat.holds = true;
  while (!seat.let_go) nap(100us);
  try {
    lock->release();
  } catch (const sherlock::LockLostException&) {
    seat.overlap = true;
  }
  seat.holds = false;
}

struct Figures {
  std::uint64_t faults = 0, told = 0, wrong = 0, died = 0;
};

// Some are answers. And SQLite itself tries for ten seconds, each time, when its locks fail and fail.
bool is_a_fault(const std::string& call, int error, bool from_then_on) {
  return !(call == "flock" && error == EWOULDBLOCK) && !(call == "sqlite fcntl" && from_then_on);
}

// As people read it.
std::string name_of(const Plan& plan) {
  return fmt::format("{} number {}{} fails{}{}", plan.call.empty() ? "allocation" : plan.call, plan.nth, plan.from_then_on ? " and all after it" : "",
                     plan.call.empty() ? "" : fmt::format(" with errno {}", plan.error), plan.contended ? ", beside a holder" : "");
}

// With `made`: how often each call was made.
void play(const std::string& backend, const Plan& plan, Figures& f, Seat& seat, std::map<std::string, long>* made) {
  const Store store{backend};
  pid_t holder = 0;
  if (plan.contended) {
    holder = spawn([&] { hold_until_told(store, seat); });
    while (!seat.holds) nap(50us);
  }
  struct Made {
    char name[32];
    long times;
  };
  const Shared<Made[32]> counted;
  const pid_t hurt = spawn([&] {
    alarm(60);
    Faults faults{store, seat, plan};
    faults.be_hurt();
    int i = 0;
    for (const auto& [name, times] : faults.made()) {
      name.copy((*counted)[i].name, 31);
      (*counted)[i++].times = times;
    }
  });
  const bool ended = reap(hurt);
  seat.let_go = true;
  if (holder) f.wrong += !reap(holder) || seat.overlap;
  if (!store.lock("x")->try_acquire_for(10s)) "not free when the process has ended"s.copy(seat.wrong, sizeof seat.wrong - 1);
  ++f.faults;
  f.told += seat.told;
  f.died += !ended;
  if (!ended || seat.wrong[0] != '\0') {
    f.wrong += ended;
    fmt::print(stderr, "  {}: {}\n", name_of(plan), ended ? seat.wrong : "the process died of it");
  }
  if (!made) return;
  for (const Made& one : *counted)
    if (one.times != 0) (*made)[one.name] = one.times;
}

}  // namespace

void faults_run(const Run& run, Report& report) {
  Figures f;
  std::vector<Plan> plans;
  for (const bool contended : {false, true}) {
    std::map<std::string, long> made;
    const Shared<Seat> seat;
    play(run.backend, {"nothing", 1, 0, false, contended}, f, *seat, &made);
    for (const auto& [call, times] : made)
      for (long nth = 1; nth <= times; ++nth)
        for (const int error : kErrors)
          for (const bool on : {false, true})
            if (is_a_fault(call, error, on)) plans.push_back({call, nth, error, on, contended});
    for (long nth = 1; nth <= static_cast<long>(seat->allocations); ++nth)
      for (const bool on : {false, true}) plans.push_back({"", nth, ENOMEM, on, contended});
  }
  if (!run.scene.empty()) std::erase_if(plans, [&](const Plan& plan) { return !name_of(plan).starts_with(run.scene); });
  Dice dice{run.seed};
  for (std::size_t i = plans.size(); i > 1; --i) std::swap(plans[i - 1], plans[static_cast<std::size_t>(dice.between(0, static_cast<long>(i) - 1))]);
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 1e9);
  for (const Plan& plan : plans) {
    if (now_ns() >= end) break;
    const Shared<Seat> seat;
    play(run.backend, plan, f, *seat, nullptr);
  }
  report.count("faults", f.faults);
  report.count("faults there are", plans.size());
  report.count("told", f.told);
  report.broken("wrong answers", f.wrong);
  report.broken("died of a fault", f.died);
}

}  // namespace stress
