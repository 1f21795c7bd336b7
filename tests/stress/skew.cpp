// SPDX-License-Identifier: MIT
// Two versions of the library at one store: this program is linked with the other one (other_version), and its neighbour `stress` with this one. While a
// process of the one holds, those of the other are kept out or refused; when it has ended, or was killed, nobody crashes and nobody is granted twice.
#include <fcntl.h>
#include <spawn.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store.hpp"
#include "stress.hpp"
#include "visitor.hpp"

extern char** environ;

namespace stress {
namespace {

std::string program_of(bool other) {
  return other ? "/proc/self/exe" : (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "stress").string();
}

// A visitor that stays, until it is let go.
class Holder {
 public:
  Holder(bool other, const Store& store) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error{"pipe2"};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::string program = program_of(other), backend = store.backend().name(), client = store.client();
    char visit[] = "--visit", stays[] = "stays";
    char* argv[] = {program.data(), visit, backend.data(), client.data(), stays, nullptr};
    if (posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv, environ) != 0) throw std::runtime_error{"cannot start " + program};
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    let_go_ = in[1];
    char word = 0;
    holds_ = read(out[0], &word, 1) == 1;
    close(out[0]);
  }
  ~Holder() { end(true); }
  bool holds() const { return holds_; }
  Visit end(bool killed) {
    if (pid_ < 0) return Visit::failed;
    if (killed) kill(pid_, SIGKILL);
    close(let_go_);
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return killed ? Visit::granted : WIFEXITED(status) ? static_cast<Visit>(WEXITSTATUS(status)) : Visit::failed;
  }

 private:
  pid_t pid_ = -1;
  int let_go_ = -1;
  bool holds_ = false;
};

Visit visit_by(bool other, const Store& store) {
  std::string program = program_of(other), backend = store.backend().name(), client = store.client();
  char visit[] = "--visit";
  char* argv[] = {program.data(), visit, backend.data(), client.data(), nullptr};
  posix_spawn_file_actions_t quiet;
  posix_spawn_file_actions_init(&quiet);
  posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  if (posix_spawn(&pid, program.c_str(), &quiet, nullptr, argv, environ) != 0) throw std::runtime_error{"cannot start " + program};
  posix_spawn_file_actions_destroy(&quiet);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? static_cast<Visit>(WEXITSTATUS(status)) : Visit::failed;
}

struct Figures {
  std::uint64_t visits = 0, refused = 0, granted = 0, overlaps = 0, losses = 0, failed = 0;

  Visit note(Visit visit) {
    ++visits;
    refused += visit == Visit::refused;
    granted += visit == Visit::granted;
    losses += visit == Visit::lost;
    failed += visit == Visit::failed;
    return visit;
  }
};

void once(const std::string& backend, bool other_first, bool killed, Figures& f) {
  const Store store{backend};
  {
    Holder holder{other_first, store};
    f.failed += !holder.holds();
    for (int i = 0; i < 3; ++i) f.overlaps += f.note(visit_by(!other_first, store)) == Visit::granted;
    f.failed += f.note(visit_by(other_first, store)) != Visit::busy;
    f.note(holder.end(killed));
  }
  // One version after the other, with nobody of the other one there.
  for (const bool other : {!other_first, other_first, !other_first}) f.note(visit_by(other, store));
}

void skew_run(const Run& run, Report& report) {
  Figures f;
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 1e9);
  do {
    for (const bool other_first : {false, true})
      for (const bool killed : {false, true}) once(run.backend, other_first, killed, f);
  } while (now_ns() < end);
  report.count("visits", f.visits);
  report.count("refusals", f.refused);
  report.count("acquisitions", f.granted);
  report.broken("overlaps", f.overlaps);
  report.broken("losses", f.losses);
  report.broken("failed", f.failed);
  report.broken("idle", f.refused == 0);
}

}  // namespace
}  // namespace stress

int main(int argc, char** argv) {
  using namespace stress;
  if (argc > 1 && std::string_view{argv[1]} == "--visit") return visit_as_told(argc, argv);
  try {
    const Run run = Run::parse(argc, argv);
    Report report;
    skew_run(run, report);
    return conclude(run, report);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "skew: %s\n", e.what());
    return 2;
  }
}
