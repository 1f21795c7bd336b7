// SPDX-License-Identifier: MIT
// Kills a process between every two steps of what the library does to a shared store, one run for each, in every situation a file lock can be in;
// the same with a stop, in which other names live, and the same one too unless the victim stands in the short section; and with a pause of just
// this thread, in which the others do what is most awkward. Afterwards a survivor must get the lock, alone, and nothing must be left behind.
//
// As all programs of the bench, with the runs steps-kill, steps-stop and steps-hold; of the points of a scene as many are drawn as there is time for. Or
//   steps_file [--seed N] [--how none|kill|stop|hold] [--scene NAME] [--at POINT] [--expect WRONG] [--tries N] [--verbose yes]
// which plays all of them. With --expect it runs until that was found broken, and is content then: so are mutants judged.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "report.hpp"
#include "steps_scenes.hpp"
#include "support/temp_dir.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kTooLong = 10'000'000'000;
constexpr const char* kHows[] = {"none", "kill", "stop", "hold"};

struct Figures {
  std::uint64_t runs = 0, blocked = 0, wrong[static_cast<int>(Wrong::kinds)]{};
  std::int64_t longest = 0;
  std::uint64_t broken() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t n : wrong) sum += n;
    return sum;
  }
};

struct Passed {
  std::vector<std::string> points;  // in the order of their first time
  std::map<std::string, std::uint64_t> times;
};

bool reap_soon(pid_t pid) { return stress::reap_soon(pid, 10s); }

// Until it stands at its point, or is dead. The status, where it has ended.
std::optional<int> wait_for_arrival(const Ground& g, pid_t victim) {
  const std::int64_t give_up = now_ns() + kTooLong;
  int status = 0;
  while (now_ns() < give_up) {
    if (waitpid(victim, &status, WNOHANG | WUNTRACED) == victim) return WIFSTOPPED(status) ? std::nullopt : std::optional{status};
    if (g.how == How::hold && g.stage.arrived && !g.at_point) return std::nullopt;
    nap(50us);
  }
  g.complain(Wrong::stuck, "the victim, before its point");
  kill(victim, SIGKILL);
  waitpid(victim, &status, 0);
  return status;
}

void meanwhile(const Scene& scene, Ground& g, std::vector<pid_t>& actors) {
  actors.push_back(spawn([&] { g.how == How::hold ? scene.meanwhile(g) : scene.others(g); }));
  const std::int64_t give_up = now_ns() + kTooLong;
  int status = 0;
  while (!g.stage.ready && now_ns() < give_up) {
    if (waitpid(actors.back(), &status, WNOHANG) == actors.back()) {
      actors.pop_back();
      if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) g.complain(Wrong::failed, "one of the others");
      break;
    }
    nap(50us);
  }
  if (g.stage.ready) nap(2ms);
}

// Whether the victim came to its point.
bool play(const Scene& scene, How how, const char* at, std::uint64_t nth, Figures& figures, Passed* passed) {
  const support::TempDir directory;
  const Shared<Stage> stage;
  Ground g{directory.path(), *stage, how, at, nth};
  if (scene.before) scene.before(g);
  std::vector<pid_t> actors;
  const pid_t victim = spawn([&] {
    scene.victim(g);
    g.stage.victim_done = true;
  });
  const std::optional<int> ended = wait_for_arrival(g, victim);
  const bool arrived = stage->arrived;
  if (ended && WIFEXITED(*ended) && WEXITSTATUS(*ended) != 0) g.complain(Wrong::failed, "the victim");
  if (ended) stage->victim_done = true;
  if (arrived) meanwhile(scene, g, actors);
  stage->go = true;
  if (!ended) {
    kill(victim, SIGCONT);
    if (!reap_soon(victim)) g.complain(Wrong::failed, "the victim, when it went on");
    stage->victim_done = true;
  }
  for (const pid_t actor : actors)
    if (!reap_soon(actor)) g.complain(Wrong::failed, "one of the others, in the end");
  const bool stuck = stage->wrong[static_cast<int>(Wrong::stuck)] != 0;  // once is enough to wait for that
  if (!stuck && !reap_soon(spawn([&] { survive(g); }))) g.complain(Wrong::failed, "the survivor");
  stage->all_done = true;
  for (const pid_t helper : g.helpers) {
    kill(helper, SIGCONT);
    if (!reap_soon(helper)) g.complain(Wrong::failed, "a helper");
  }
  for (const pid_t stray : g.strays) {
    kill(stray, SIGKILL);
    waitpid(stray, nullptr, 0);
  }
  if (!reap_soon(spawn([&] { look_around(g); }))) g.complain(Wrong::failed, "who looked around in the end");

  stage->wrong[static_cast<int>(Wrong::overlap)] += stage->lock.overlaps;
  stage->wrong[static_cast<int>(Wrong::fence)] += stage->lock.fences_back;
  ++figures.runs;
  figures.blocked += stage->blocked;
  figures.longest = std::max(figures.longest, stage->longest.load());
  for (int i = 0; i < static_cast<int>(Wrong::kinds); ++i) figures.wrong[i] += stage->wrong[i];
  if (passed)
    for (std::uint32_t i = 0; i < std::min(stage->points.load(), kMostPoints); ++i)
      if (++passed->times[stage->point[i]] == 1) passed->points.emplace_back(stage->point[i]);
  return arrived;
}

struct Wanted {
  std::uint64_t seed = 1;
  std::string how, scene, at, expect;
  int tries = 1;
  double seconds = 0;  // 0: as long as it takes
};

class Player {
 public:
  explicit Player(const Wanted& wanted) : wanted_{wanted}, dice_{wanted.seed} {}

  // Whether all was well; or, with --expect, whether it was found broken.
  bool all() {
    std::uint64_t scenes_played = 0;
    for (int n = 0; n < wanted_.tries; ++n)
      for (const Scene& scene : scenes()) {
        if (!wanted_.scene.empty() && wanted_.scene != scene.name) continue;
        ++scenes_played;
        Passed passed;
        if (wanted_.at.empty())
          look_through(scene, passed);
        else
          passed = {{wanted_.at}, {{wanted_.at, 1}}};
        if (found()) return true;
        for (const How how : {How::kill, How::stop, How::hold}) {
          if (!wanted_.how.empty() && wanted_.how != kHows[static_cast<int>(how)]) continue;
          if (scene.only.size() != 0 && std::find(scene.only.begin(), scene.only.end(), how) == scene.only.end()) continue;
          hurt(scene, how, passed);
          if (found()) return true;
        }
      }
    if (scenes_played == 0) fmt::print("no such scene\n");
    return scenes_played != 0 && wanted_.expect.empty() && all_.broken() == 0;
  }

  void tell(Report& report) const {
    report.count("points", all_.runs);
    report.count("kept waiting by the short section", all_.blocked);
    for (int i = 0; i < static_cast<int>(Wrong::kinds); ++i) report.broken(kWrongs[i], all_.wrong[i]);
    report.worst("worst recovery", std::chrono::nanoseconds{all_.longest});
  }

 private:
  void look_through(const Scene& scene, Passed& passed) {
    Figures f;
    play(scene, How::none, "", 0, f, &passed);
    if (scene.passes && !passed.times.contains(scene.passes)) ++f.wrong[static_cast<int>(Wrong::failed)];
    figures(scene, How::none, f, 0);
  }

  void hurt(const Scene& scene, How how, const Passed& passed) {
    Figures f;
    std::uint64_t missed = 0;
    const std::int64_t end = now_ns() + static_cast<std::int64_t>(wanted_.seconds * 1e9 / static_cast<double>(scenes().size()));
    for (const std::string& point : points_of(scene, passed)) {
      // The first time, and one of the others.
      once(scene, how, point, 1, f, missed);
      const auto nth = static_cast<std::uint64_t>(dice_.between(1, static_cast<std::int64_t>(passed.times.at(point))));
      if (nth != 1 && !found()) once(scene, how, point, nth, f, missed);
      if (found() || (wanted_.seconds != 0 && now_ns() >= end)) break;
    }
    figures(scene, how, f, missed);
  }

  // Those that are of interest; in any order where there may be no time for all.
  std::vector<std::string> points_of(const Scene& scene, const Passed& passed) {
    std::vector<std::string> points;
    bool begun = !scene.from;
    for (const std::string& point : passed.points) {
      begun = begun || point == scene.from;
      if (begun && (wanted_.at.empty() || wanted_.at == point)) points.push_back(point);
      if (scene.up_to && point == scene.up_to) break;
    }
    if (wanted_.seconds != 0)
      for (std::size_t i = points.size(); i > 1; --i) std::swap(points[i - 1], points[static_cast<std::size_t>(dice_.between(0, static_cast<std::int64_t>(i) - 1))]);
    return points;
  }

  void once(const Scene& scene, How how, const std::string& point, std::uint64_t nth, Figures& f, std::uint64_t& missed) {
    const std::uint64_t before = f.broken();
    if (!play(scene, how, point.c_str(), nth, f, nullptr)) ++missed;
    if (f.broken() != before)
      fmt::print(stderr, "  {} at '{}', time {}, of '{}' broke something\n", kHows[static_cast<int>(how)], point, nth, scene.name);
    note(f);
  }

  void figures(const Scene& scene, How how, const Figures& f, std::uint64_t missed) {
    std::string wrong;
    for (int i = 0; i < static_cast<int>(Wrong::kinds); ++i)
      if (f.wrong[i] != 0) wrong += fmt::format(", {} {}", kWrongs[i], f.wrong[i]);
    fmt::print(stderr, "{} {}: {} runs, {} not reached, {} kept waiting by the short section, longest {:.1f} ms{}; {}\n",
               kHows[static_cast<int>(how)], scene.name, f.runs, missed, f.blocked, static_cast<double>(f.longest) / 1e6, wrong,
               wrong.empty() ? "kept" : "BROKEN");
    all_.runs += f.runs;
    all_.blocked += f.blocked;
    all_.longest = std::max(all_.longest, f.longest);
    for (int i = 0; i < static_cast<int>(Wrong::kinds); ++i) all_.wrong[i] += f.wrong[i];
    note(f);
  }

  void note(const Figures& f) {
    for (int i = 0; i < static_cast<int>(Wrong::kinds); ++i)
      if (f.wrong[i] != 0 && wanted_.expect == kWrongs[i]) found_ = true;
  }
  bool found() const { return found_; }

  const Wanted& wanted_;
  Dice dice_;
  Figures all_;
  bool found_ = false;
};

}  // namespace
}  // namespace stress

namespace stress {
namespace {

// As one of the runs of the bench.
int one_run(int argc, char** argv) {
  const Run run = Run::parse(argc, argv);
  constexpr std::string_view kPrefix = "steps-";
  if (!run.name.starts_with(kPrefix)) throw std::runtime_error{"there is no run of that name: " + run.name};
  const Wanted wanted{.seed = run.seed, .how = run.name.substr(kPrefix.size()), .scene = run.scene, .at = {}, .expect = {}, .seconds = run.seconds};
  Player player{wanted};
  player.all();
  Report report;
  player.tell(report);
  return conclude(run, report);
}

int by_hand(int argc, char** argv) {
  Wanted wanted;
  wanted.seed = static_cast<std::uint64_t>(time(nullptr));
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i], value = argv[i + 1];
    if (option == "--seed") wanted.seed = std::strtoull(value.c_str(), nullptr, 10);
    if (option == "--how") wanted.how = value;
    if (option == "--scene") wanted.scene = value;
    if (option == "--at") wanted.at = value;
    if (option == "--expect") wanted.expect = value;
    if (option == "--verbose") verbose = value == "yes";
    if (option == "--tries") wanted.tries = std::atoi(value.c_str());
  }
  fmt::print("seed {}\n", wanted.seed);
  Player player{wanted};
  return player.all() ? 0 : 1;
}

}  // namespace
}  // namespace stress

int main(int argc, char** argv) {
  const bool is_run = std::any_of(argv, argv + argc, [](const char* word) { return std::string_view{word} == "--run"; });
  return is_run ? stress::one_run(argc, argv) : stress::by_hand(argc, argv);
}
