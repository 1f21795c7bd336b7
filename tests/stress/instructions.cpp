// SPDX-License-Identifier: MIT
// Kills a process after each of its instructions, one run for each, in the situations a lock of shared memory can be in, and sees whether the
// survivors get the lock, soon and alone. Then the same with a stop: locks of other names must go on meanwhile, and all must end well when it goes on.
// Where sweep.cpp has its points in the system calls, these are all there are: between two of a process's instructions there is nothing.
//
// Points are drawn for so many seconds; with --every N they are the N-th, the 2 N-th, and so on to the end.
#include <fmt/core.h>
#include <signal.h>
#include <sys/ptrace.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "agent.hpp"
#include "path.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kSoon = 200'000'000, kOthersSoon = 100'000'000;  // what is wanted
constexpr nanoseconds kStuck = 4s;                                      // what is broken, on whatever busy machine
constexpr int kNotAllowed = 77;

enum : int { victim_id, survivor_id, second_id, holder_id, stranger_id };

// One store with those who live in it, and a victim for each play.
struct Stage {
  explicit Stage(const std::string& backend) : store{backend}, survivor{store, *detector, survivor_id}, second{store, *detector, second_id},
                                               holder{store, *detector, holder_id}, stranger{store, *detector, stranger_id} {}
  const Shared<Detector> detector;
  const Store store;
  Agent survivor, second, holder, stranger;  // the last uses locks of other names
  std::uint64_t life = 0;  // of the victim
};

enum class Waiters { none, heir, two };

struct Scene {
  const char* name;
  void (*before)(Stage&);      // by the survivors
  void (*prepare)(sherlock::BaseLock&);  // by the victim, before its instructions count; null: it has no lock yet, nor is there a store
  void (*section)(sherlock::BaseLock&, const Stage&);
  sherlock::Duration expire = sherlock::never;
  Verb afterwards = Verb::none;  // of the holder: let_go when the victim sleeps, or is hurt; let_go_late when another has had the lock
  Waiters waiters = Waiters::none;
  bool at_all_names = false;  // one after the other: who is stopped at it may be at the very name that others are to go on with
};

void nothing(Stage&) {}
void opens(sherlock::BaseLock& lock) { (void)lock.locked(); }
void has_used(sherlock::BaseLock& lock) {
  lock.acquire();
  lock.release();
}
void takes(sherlock::BaseLock& lock) { lock.acquire(); }

void uses(sherlock::BaseLock& lock, const Stage& s) {
  lock.acquire();
  {
    const Inside inside{*s.detector, victim_id, s.life, lock.fence()};
  }
  lock.release();
}
void uses_and_renews(sherlock::BaseLock& lock, const Stage& s) {
  lock.acquire();
  {
    const Inside inside{*s.detector, victim_id, s.life, lock.fence()};
    if (!lock.renew()) throw std::runtime_error{"renew: lost"};
  }
  lock.release();
}
void releases(sherlock::BaseLock& lock, const Stage&) { lock.release(); }
void looks(sherlock::BaseLock& lock, const Stage&) {
  (void)lock.locked();
  (void)lock.holder();
}
void lists(sherlock::BaseLock&, const Stage& s) { (void)s.store.list(); }
void cleans(sherlock::BaseLock&, const Stage& s) { (void)s.store.clean(); }

void do_now(Agent& agent, Verb verb) {
  agent.tell(verb);
  if (!agent.done(kStuck) || !agent.went_well()) throw std::runtime_error{"a scene could not be set"};
}
void held(Stage& s) { do_now(s.holder, Verb::take); }
void leased_for_too_long(Stage& s) {
  do_now(s.holder, Verb::take_lease);
  nap(Agent::kLease + 50us);
}
void dead_holder(Stage& s) {
  const pid_t pid = spawn([&] {
    const auto lock = s.store.lock("x");
    lock->acquire();
    kill(getpid(), SIGKILL);
  });
  waitpid(pid, nullptr, 0);
}

const std::vector<Scene> kScenes{
    {"create", nothing, nullptr, uses},
    {"first use", nothing, opens, uses},
    {"free", nothing, has_used, uses},
    {"lease", nothing, has_used, uses_and_renews, sherlock::Duration{10s}},
    {"contended", held, opens, uses, sherlock::never, Verb::let_go},
    {"contended, behind others", held, opens, uses, sherlock::never, Verb::let_go, Waiters::two},
    {"contended lease", held, opens, uses_and_renews, sherlock::Duration{10s}, Verb::let_go, Waiters::heir},
    {"release to a waiter", nothing, takes, releases, sherlock::never, Verb::none, Waiters::heir},
    {"release to two waiters", nothing, takes, releases, sherlock::never, Verb::none, Waiters::two},
    {"take-over of a lease", leased_for_too_long, opens, uses, sherlock::never, Verb::let_go_late},
    {"take-over by a lease", leased_for_too_long, opens, uses_and_renews, sherlock::Duration{10s}, Verb::let_go_late},
    {"take-over from the dead", dead_holder, opens, uses},
    {"looks", nothing, has_used, looks},
    {"lists", nothing, has_used, lists, sherlock::never, Verb::none, Waiters::none, true},
    {"clean", nothing, has_used, cleans},
};

// --------------------------------------------------------------------------------------------------------------- stepping

// A stop of the victim is a signal, which can be waited for with a timeout.
const sigset_t& child_signals() {
  static const sigset_t set = [] {
    sigset_t made;
    sigemptyset(&made);
    sigaddset(&made, SIGCHLD);
    sigprocmask(SIG_BLOCK, &made, nullptr);
    return made;
  }();
  return set;
}

// The victim, stopped before the first instruction of its section.
class Victim {
 public:
  Victim(const Scene& scene, Stage& s) {
    ++s.life;
    pid_ = spawn([&] {
      const auto make = [&] { return s.store.lock("x", {.expire = scene.expire, .timeout = 30s}); };
      auto lock = scene.prepare ? make() : nullptr;
      if (lock) scene.prepare(*lock);
      if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(kNotAllowed);
      raise(SIGSTOP);
      if (!lock) lock = make();
      scene.section(*lock, s);
      _exit(0);
    });
    waitpid(pid_, &status_, WUNTRACED);
  }
  bool allowed() const { return !(WIFEXITED(status_) && WEXITSTATUS(status_) == kNotAllowed); }
  bool ended() const { return !WIFSTOPPED(status_); }
  bool ended_well() const { return WIFEXITED(status_) && WEXITSTATUS(status_) == 0; }

  // All its instructions, to its end. When it seems to sleep in one of them, `wake` is called.
  template <class Wake>
  void walk(Path& path, Wake wake) {
    while (!ended()) {
      path.passed(next_address(pid_));
      step(wake);
    }
  }
  // So many instructions of that path, or what is like them where the world is not as it was; or to its end.
  template <class Wake>
  void go(const Path& path, long instructions, Wake wake) {
    const Path::Anchor anchor = path.anchor(instructions);
    long done = 0;
    if (anchor.nth != 0 && set_breakpoint(pid_, anchor.address)) {
      for (std::uint32_t met = 0; met < anchor.nth && !ended(); ++met) {
        ptrace(PTRACE_CONT, pid_, nullptr, nullptr);
        wait(wake);
      }
      if (!ended()) set_breakpoint(pid_, 0);
      done = anchor.instructions;
    }
    for (; done < instructions && !ended(); ++done) step(wake);
  }

  void kill_now(Stage& s) {
    mark_killed(*s.detector, victim_id, s.life);
    kill(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
  }
  // Goes on by itself, to its end.
  void go_on() {
    ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
    const std::int64_t give_up = now_ns() + 2 * kStuck.count();
    while (waitpid(pid_, &status_, WNOHANG) == 0) {
      if (now_ns() >= give_up) kill(pid_, SIGKILL);
      nap(20us);
    }
  }

 private:
  template <class Wake>
  void step(Wake wake) {
    ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr);
    wait(wake);
  }

  template <class Wake>
  void wait(Wake wake) {
    const timespec patience{0, 2'000'000};
    while (waitpid(pid_, &status_, WNOHANG) != pid_)
      if (sigtimedwait(&child_signals(), nullptr, &patience) < 0 && errno == EAGAIN) {
        wake();
        waitpid(pid_, &status_, 0);
        return;
      }
  }

  pid_t pid_ = 0;
  int status_ = 0;
};

// ---------------------------------------------------------------------------------------------------------------- playing

struct Figures {
  std::uint64_t points = 0, slow = 0, stuck = 0, failed = 0;
  std::int64_t longest = 0, others_longest = 0;
};

class Play {
 public:
  Play(const Scene& scene, Stage& stage, Figures& figures) : scene_{scene}, s_{stage}, f_{figures} {}

  // With the victim hurt after so many instructions; with 0, unhurt, which tells the path. False where it may not be traced.
  bool run(Path& path, long instructions, bool killed) {
    scene_.before(s_);
    if (scene_.waiters != Waiters::none && scene_.afterwards == Verb::let_go) park();
    Victim victim{scene_, s_};
    if (!victim.allowed()) return false;
    if (scene_.waiters != Waiters::none && scene_.afterwards != Verb::let_go) park();
    const auto wake = [this] { let_go(); };
    if (instructions == 0)
      victim.walk(path, wake);
    else
      victim.go(path, instructions, wake);
    from_ = now_ns();
    if (!victim.ended() && killed) {
      victim.kill_now(s_);
    } else if (!victim.ended()) {
      if (!scene_.at_all_names) other_names_go_on();
      // And this one, where the victim is not in its way.
      if (!s_.survivor.busy()) s_.survivor.tell(Verb::use);
      nap(200us);
      let_go();
      victim.go_on();
      from_ = now_ns();
      if (!victim.ended_well()) ++f_.failed;
    } else if (!victim.ended_well()) {
      ++f_.failed;
    }
    let_go();
    if (gone_) see_done(s_.holder);
    for (Agent* const waiter : {&s_.survivor, &s_.second})
      if (waiter->busy()) judge(*waiter, from_);
    const std::int64_t asked = now_ns();
    s_.survivor.tell(Verb::use);
    judge(s_.survivor, asked);
    if (scene_.afterwards == Verb::let_go_late) {
      s_.holder.tell(Verb::let_go_late);
      see_done(s_.holder);
    }
    ++f_.points;
    return true;
  }

 private:
  void park() {
    s_.survivor.tell(Verb::use);
    if (scene_.waiters == Waiters::two) s_.second.tell(Verb::use);
    nap(1500us);  // long enough for the heir to ask for the lock to be handed over
  }

  // What the victim waits for, or all who wait beside it. Not seen to its end here: the victim may be where the holder must pass, and wait for us.
  void let_go() {
    if (scene_.afterwards != Verb::let_go || gone_) return;
    gone_ = true;
    from_ = now_ns();
    s_.holder.tell(Verb::let_go);
  }

  void see_done(Agent& agent) {
    if (!agent.done(kStuck) || !agent.went_well()) ++f_.failed;
  }

  void judge(Agent& agent, std::int64_t since) {
    if (!agent.done(kStuck)) {
      ++f_.stuck;
      if (!agent.done(60s)) throw std::runtime_error{"a survivor is stuck for good"};
      return;
    }
    if (!agent.went_well()) ++f_.failed;
    const std::int64_t took = agent.granted() - since;
    f_.longest = std::max(f_.longest, took);
    if (took > kSoon) ++f_.slow;
  }

  void other_names_go_on() {
    const std::int64_t asked = now_ns();
    s_.stranger.tell(Verb::use_other);
    if (!s_.stranger.done(kStuck)) {
      ++f_.stuck;
      return;
    }
    if (!s_.stranger.went_well()) ++f_.failed;
    f_.others_longest = std::max(f_.others_longest, s_.stranger.granted() - asked);
    if (s_.stranger.granted() - asked > kOthersSoon) ++f_.slow;
  }

  const Scene& scene_;
  Stage& s_;
  Figures& f_;
  std::int64_t from_ = 0;
  bool gone_ = false;
};

class Sweep {
 public:
  Sweep(const Run& run, bool killed) : run_{run}, killed_{killed}, dice_{run.seed} {}

  // False where no process may trace another.
  bool all() {
    for (const Scene& scene : kScenes) {
      if (run_.scene.empty() ? too_long(scene) : run_.scene != scene.name) continue;
      if (!play(scene)) return false;
    }
    return true;
  }

  void tell(Report& report) const {
    report.count("points", f_.points);
    report.count(killed_ ? "kills" : "stops", f_.points);
    report.count("instructions", instructions_);
    report.count("recoveries over the limit", f_.slow);
    report.broken("stuck", f_.stuck);
    report.broken("overlaps", overlaps_);
    report.broken("fences back", fences_back_);
    report.broken("failed", f_.failed);
    report.worst("worst recovery", nanoseconds{f_.longest});
    if (!killed_) report.worst("other names", nanoseconds{f_.others_longest});
  }

 private:
  // A database is made in a million instructions, each of which would have to be stepped once.
  bool too_long(const Scene& scene) const { return !scene.prepare && run_.backend == "sqlite"; }

  bool play(const Scene& scene) {
    fresh_stage();
    // The section's length, and the scene as it is when nobody is hurt.
    path_ = {};
    if (!once(scene, 0)) return false;
    instructions_ += static_cast<std::uint64_t>(path_.length());
    const long every = std::max(run_.every, 1L);
    std::vector<long> points(static_cast<std::size_t>(path_.length() / every));
    for (std::size_t i = 0; i < points.size(); ++i) points[i] = static_cast<long>(i + 1) * every;
    if (run_.every == 0)
      for (std::size_t i = points.size(); i > 1; --i) std::swap(points[i - 1], points[static_cast<std::size_t>(dice_.between(0, static_cast<long>(i) - 1))]);
    const double share = run_.seconds / static_cast<double>(run_.scene.empty() ? kScenes.size() : 1);
    const std::int64_t end = now_ns() + static_cast<std::int64_t>(share * 1e9);
    for (const long at : points) {
      if (run_.every == 0 && now_ns() >= end) break;
      const std::uint64_t before = wrong();
      if (!scene.prepare) fresh_stage();
      if (!once(scene, at)) return false;
      if (wrong() != before) fmt::print(stderr, "  {}: instruction {} of '{}' broke something\n", run_.name, at, scene.name);
    }
    fresh_stage();
    return true;
  }

  void fresh_stage() {
    if (stage_) {
      overlaps_ += stage_->detector->overlaps + stage_->detector->torn;
      fences_back_ += stage_->detector->fences_back;
    }
    stage_ = std::make_unique<Stage>(run_.backend);
  }

  bool once(const Scene& scene, long at) { return Play{scene, *stage_, f_}.run(path_, at, killed_); }

  std::uint64_t wrong() const {
    const Detector& d = *stage_->detector;
    return f_.stuck + f_.failed + d.overlaps + d.torn + d.fences_back + overlaps_ + fences_back_;
  }

  const Run& run_;
  const bool killed_;
  Dice dice_;
  std::unique_ptr<Stage> stage_;
  Path path_;
  Figures f_;
  std::uint64_t instructions_ = 0, overlaps_ = 0, fences_back_ = 0;  // the last two of stores that are gone
};

}  // namespace

void instructions_run(const Run& run, Report& report) {
  Sweep sweep{run, run.name == "instructions-kill"};
  if (!sweep.all()) return report.skip("no process may trace another here");
  sweep.tell(report);
}

}  // namespace stress
