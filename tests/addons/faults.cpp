// SPDX-License-Identifier: MIT
#include "addons/faults.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <new>
#include <random>
#include <system_error>
#include <thread>
#include <vector>

#include <sherlock/clock.hpp>
#include <sherlock/error.hpp>
#include <sherlock/keeper.hpp>

#include "support/subprocess.hpp"

namespace support {
namespace {

using namespace std::chrono_literals;
using namespace sherlock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr nanoseconds kNotRunning = 30ms;  // a holder that has not looked at its lock for so long was not running

std::int64_t boottime() { return real_clock().boottime().count(); }

// What a process says of itself, in shared memory. Instants are of CLOCK_BOOTTIME, which all processes see alike.
struct Seat {
  std::atomic<std::int64_t> holding{0};    // since when it takes itself for the holder; 0: it does not, or was told
  std::atomic<std::int64_t> confirmed{0};  // held() was seen then, or later
  std::atomic<std::int64_t> beat{0};       // it ran
  std::atomic<std::int64_t> round{0};      // likewise, outside of any verb
  std::atomic<int> stops{0};               // how often it was stopped
};

struct Board {
  Seat seats[2];
  std::atomic<bool> end{false};
  std::atomic<std::int64_t> forgot{0};  // when the server did, last
  std::atomic<std::uint64_t> fence{0};  // of the last grant
  std::atomic<int> acquisitions{0}, overlaps{0}, untold{0}, fences{0}, hangs{0}, forgotten{0}, late{0}, losses{0}, errors{0};
};

class SharedBoard {
 public:
  SharedBoard() {
    void* const memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::system_error{errno, std::generic_category(), "mmap"};
    board_ = new (memory) Board;
  }
  ~SharedBoard() { ::munmap(board_, sizeof(Board)); }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  Board& operator*() const { return *board_; }
  Board* operator->() const { return board_; }

 private:
  Board* board_;
};

class Contender {
 public:
  Contender(const FaultSubject& subject, const FaultPlan& plan, std::string client, Board& board, int me)
      : subject_{subject}, plan_{plan}, client_{std::move(client)}, board_{board}, mine_{board.seats[me]}, other_{board.seats[1 - me]},
        chance_{plan.seed * 2 + static_cast<std::uint64_t>(me)} {}

  int run() {
    while (!board_.end) try {
        const std::unique_ptr<BaseLock> lock = subject_.make_lock(client_, "contended", options());
        for (int round = 0; round < 5 && !board_.end; ++round) this->round(*lock);
      } catch (const LockException&) {
        ++board_.errors;
        std::this_thread::sleep_for(5ms);
      }
    return 0;
  }

 private:
  Options options() {
    return {.expire = plan_.lease, .timeout = 2 * plan_.lease, .on_lost = [this](const LockException& what) {
              mine_.holding = 0;
              if (what.code() != Errc::lost) return;
              ++told_;
              ++board_.losses;
            }};
  }

  // A verb, and whether it took too long. Exceptions as the verb.
  template <class Verb>
  auto timed(nanoseconds limit, Verb verb) {
    struct Watch {
      Contender& c;
      const nanoseconds limit;
      const std::int64_t began = boottime();
      const int stops = c.mine_.stops;
      ~Watch() {
        if (boottime() - began > limit.count() && c.mine_.stops == stops) ++c.board_.hangs;
        c.mine_.round = boottime();
      }
    } watch{*this, limit + plan_.slack};
    return verb();
  }

  void round(BaseLock& lock) {
    mine_.round = boottime();
    bool granted = false;
    try {
      granted = timed(lock.timeout().ns() + 1s, [&] { return lock.try_acquire_for(lock.timeout()); });
    } catch (const BackendException&) {
      ++board_.errors;
      std::this_thread::sleep_for(5ms);
    }
    if (!granted) return;

    const std::int64_t entry = boottime();
    told_ = 0;
    mine_.beat = entry;
    mine_.holding = entry;
    judge_entry(lock, entry);
    ++board_.acquisitions;
    try {
      const Keeper keeper{lock};
      hold(lock, entry);
      mine_.holding = 0;
      timed(plan_.lease + std::max<nanoseconds>(lock.timeout().ns(), 1s), [&] { lock.release(); });
    } catch (const LockLostException&) {
      if (told_ == 0) ++board_.untold;
    } catch (const LockNotHeldException&) {  // it was over before it could be kept
    } catch (const BackendException&) {
      ++board_.errors;
    }
    mine_.holding = 0;
  }

  // Whose hold this one ended has been told.
  void judge_entry(const BaseLock& lock, std::int64_t entry) {
    const std::int64_t theirs = other_.holding, beat = other_.beat;
    if (!lock.held()) return;
    const std::uint64_t fence = lock.fence();
    std::uint64_t last = board_.fence;
    while (last < fence && !board_.fence.compare_exchange_weak(last, fence)) {
    }
    if (last >= fence) ++board_.fences;
    if (theirs == 0 || theirs > entry) return;
    if (forgotten(theirs))
      ++board_.forgotten;
    else if (entry - beat > nanoseconds{kNotRunning}.count())
      ++board_.late;
    else
      ++board_.untold;
  }

  // A hold that was granted before the server forgot, perhaps some time before its owner heard so.
  bool forgotten(std::int64_t since) const { return board_.forgot > since - nanoseconds{plan_.lease}.count(); }

  // For a while, or until it is lost. held() never becomes true again in a hold; so who saw it after an instant held at that instant.
  void hold(const BaseLock& lock, std::int64_t entry) {
    const std::int64_t until = entry + static_cast<std::int64_t>(chance_() % static_cast<std::uint64_t>(nanoseconds{plan_.lease}.count() * 5 / 2));
    bool overlapped = false;
    for (std::int64_t now; !board_.end && (now = boottime()) < until;) {
      mine_.beat = now;
      if (!lock.held()) return;
      mine_.confirmed = now;
      const std::int64_t theirs = other_.confirmed;
      if (!overlapped && theirs > entry && lock.held()) {
        overlapped = true;
        ++(forgotten(std::min(entry, other_.holding.load())) ? board_.forgotten : board_.overlaps);
      }
      std::this_thread::sleep_for(200us);
    }
  }

  const FaultSubject& subject_;
  const FaultPlan& plan_;
  const std::string client_;
  Board& board_;
  Seat &mine_, &other_;
  std::mt19937_64 chance_;
  std::atomic<int> told_{0};  // of this hold
};

class Play {
 public:
  Play(const FaultSubject& subject, const FaultPlan& plan) : subject_{subject}, plan_{plan}, proxy_{subject.server}, chance_{plan.seed} {}

  FaultFigures run() {
    const auto began = std::chrono::steady_clock::now();
    for (int me : {0, 1}) start(me, me == 0 ? subject_.through(proxy_.port()) : subject_.direct);
    int faults = 0;
    for (; faults < plan_.faults && alive(); ++faults) {
      pause(below(plan_.lease / 2));
      fault();
      proxy_.heal();
    }
    pause(plan_.lease);
    board_->end = true;
    for (Child& child : children_) try {
        if (child.wait(30s) != Exit{0, 0}) ++board_->hangs;
      } catch (const std::runtime_error&) {
        ++board_->hangs;
      }
    const Board& b = *board_;
    return {.faults = faults, .acquisitions = b.acquisitions, .overlaps = b.overlaps, .untold = b.untold, .fences = b.fences, .hangs = b.hangs,
            .forgotten = b.forgotten, .late = b.late, .losses = b.losses, .errors = b.errors,
            .took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began)};
  }

 private:
  void start(int me, const std::string& client) {
    board_->seats[me].round = boottime();
    children_.emplace_back([&, me] {
      ::alarm(0);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      return Contender{subject_, plan_, client, *board_, me}.run();
    });
  }

  // Neither stands still where it should not.
  bool alive() {
    for (const Seat& seat : board_->seats)
      if (boottime() - std::max(seat.round.load(), seat.beat.load()) > nanoseconds{20 * plan_.lease + 20s}.count()) {
        ++board_->hangs;
        return false;
      }
    return children_[0].running() && children_[1].running();
  }

  milliseconds below(milliseconds most) { return milliseconds{static_cast<long>(chance_() % static_cast<std::uint64_t>(most.count() + 1))}; }
  static void pause(milliseconds length) { std::this_thread::sleep_for(length); }

  void fault() {
    const milliseconds length = below(plan_.lease * 3 / 2);
    const int n = 1 + static_cast<int>(chance_() % 6);
    const auto what = chance_() % 13;
    static constexpr const char* kNames[] = {"cut", "reset", "refuse and cut", "black hole", "late replies", "held replies", "throttle", "lost reply",
                                             "lost request", "server stopped", "server killed", "holder stopped", "rival stopped"};
    if (plan_.verbose) std::printf("%s, %ld ms, n = %d\n", kNames[what], static_cast<long>(length.count()), n);
    switch (what) {
      case 0: return proxy_.cut();
      case 1: return proxy_.cut(Proxy::Cut::reset);
      case 2:
        proxy_.refuse(true);
        proxy_.cut();
        return pause(length);
      case 3: proxy_.blackhole(true); return pause(length);
      case 4:
        proxy_.delay(length);
        return pause(plan_.lease);
      case 5: proxy_.hold(true); return pause(length);
      case 6: proxy_.throttle(1ms); return pause(length);
      case 7: proxy_.lose_reply(n); return pause_until_lost();
      case 8: proxy_.lose_request(n); return pause_until_lost();
      case 9:
        subject_.stop();
        pause(length);
        return subject_.resume();
      case 10:
        if (subject_.forgets) board_->forgot = boottime();
        subject_.kill();
        pause(length / 4);
        if (subject_.forgets) board_->forgot = boottime();
        return subject_.restart();
      default: return stop_process(what == 11 ? 0 : 1, length);
    }
  }

  void pause_until_lost() {
    const int before = proxy_.lost();
    const std::int64_t until = boottime() + nanoseconds{3 * plan_.lease}.count();
    while (proxy_.lost() == before && boottime() < until) pause(1ms);
  }

  void stop_process(std::size_t which, milliseconds length) {
    ++board_->seats[which].stops;
    children_[which].stop();
    pause(length);
    ++board_->seats[which].stops;
    children_[which].resume();
  }

  const FaultSubject& subject_;
  const FaultPlan& plan_;
  SharedBoard board_;
  std::vector<Child> children_;
  Proxy proxy_;
  std::mt19937_64 chance_;
};

}  // namespace

std::string FaultFigures::line(const FaultSubject& subject, const FaultPlan& plan) const {
  char text[400];
  std::snprintf(text, sizeof text,
                "faults, %s: seed %llu, %d faults in %.1f s, %d acquisitions, %d losses, %d errors; overlaps %d, untold %d, fences %d, hangs %d "
                "(not counted: %d after the server forgot, %d of a process that did not run)",
                subject.name.c_str(), static_cast<unsigned long long>(plan.seed), faults, static_cast<double>(took.count()) / 1000, acquisitions, losses,
                errors, overlaps, untold, fences, hangs, forgotten, late);
  return text;
}

FaultFigures play_faults(const FaultSubject& subject, const FaultPlan& plan) { return Play{subject, plan}.run(); }

int faults_main(int argc, char** argv, const FaultSubject& subject) {
  FaultPlan plan{.seed = std::random_device{}()};
  for (int i = 1; i < argc; ++i) {
    const auto number = [&] { return i + 1 < argc ? std::stoull(argv[++i]) : 0; };
    if (std::strcmp(argv[i], "--faults") == 0) plan.faults = static_cast<int>(number());
    if (std::strcmp(argv[i], "--seed") == 0) plan.seed = number();
    if (std::strcmp(argv[i], "--lease") == 0) plan.lease = milliseconds{number()};
    if (std::strcmp(argv[i], "--verbose") == 0) plan.verbose = true;
  }
  const LostMessages lost = lose_each_message(subject, 5s);
  std::printf("lost messages, %s: %d places, %d wrong%s%s\n", subject.name.c_str(), lost.places, lost.wrong, lost.wrong ? ": " : "", lost.what.c_str());
  const FaultFigures figures = play_faults(subject, plan);
  std::puts(figures.line(subject, plan).c_str());
  return figures.good() && lost.places > 0 && lost.wrong == 0 ? 0 : 1;
}

}  // namespace support
