// SPDX-License-Identifier: MIT
#include "addons/faults.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "addons/fault_contender.hpp"
#include "support/subprocess.hpp"

namespace support {
namespace {

using namespace std::chrono_literals;
using faults::boottime;
using faults::Contender;
using faults::Seat;
using faults::SharedBoard;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

class Play {
 public:
  Play(const FaultSubject& subject, const FaultPlan& plan) : subject_{subject}, plan_{plan}, chance_{plan.seed} {
    for (int me : {0, 1}) start(me);
    children_.emplace_back([&] { return watch_machine(); });
    proxy_.emplace(subject.server);
    board_->port = proxy_->port();
  }

  FaultFigures run() {
    const auto began = std::chrono::steady_clock::now();
    int faults = 0;
    for (; faults < plan_.faults && alive(); ++faults) {
      pause(below(plan_.lease / 2));
      fault();
      proxy_->heal();
    }
    pause(plan_.lease);
    board_->end = true;
    for (Child& child : children_) try {
        if (child.wait(30s) != Exit{0, 0}) ++board_->hangs;
      } catch (const std::runtime_error&) {
        ++board_->hangs;
      }
    const faults::Board& b = *board_;
    return {.faults = faults, .acquisitions = b.acquisitions, .overlaps = b.overlaps, .untold = b.untold, .fences = b.fences, .hangs = b.hangs,
            .forgotten = b.forgotten, .late = b.late, .losses = b.losses, .errors = b.errors,
            .took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began)};
  }

 private:
  // Before there is a thread, the proxy's: such a child may not start any of its own under ThreadSanitizer.
  void start(int me) {
    board_->seats[me].round = boottime();
    children_.emplace_back([&, me] {
      ::alarm(0);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (board_->port == 0) pause(1ms);
      return Contender{subject_, plan_, me == 0 ? subject_.through(board_->port) : subject_.direct, *board_, me}.run();
    });
  }

  int watch_machine() {
    ::alarm(0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (std::int64_t last = boottime(), now; !board_->end; last = now) {
      pause(10ms);
      now = boottime();
      if (now - last > nanoseconds{500ms}.count()) board_->stood += now - last;
    }
    return 0;
  }

  // Neither stands still where it should not.
  bool alive() {
    for (const Seat& seat : board_->seats)
      if (boottime() - std::max(seat.round.load(), seat.beat.load()) > nanoseconds{20 * plan_.lease + 20s}.count() + board_->stood) {
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
      case 0: return proxy_->cut();
      case 1: return proxy_->cut(Proxy::Cut::reset);
      case 2:
        proxy_->refuse(true);
        proxy_->cut();
        return pause(length);
      case 3: proxy_->blackhole(true); return pause(length);
      case 4:
        proxy_->delay(length);
        return pause(plan_.lease);
      case 5: proxy_->hold(true); return pause(length);
      case 6: proxy_->throttle(1ms); return pause(length);
      case 7: proxy_->lose_reply(n); return pause_until_lost();
      case 8: proxy_->lose_request(n); return pause_until_lost();
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
    const int before = proxy_->lost();
    const std::int64_t until = boottime() + nanoseconds{3 * plan_.lease}.count();
    while (proxy_->lost() == before && boottime() < until) pause(1ms);
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
  std::optional<Proxy> proxy_;
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
