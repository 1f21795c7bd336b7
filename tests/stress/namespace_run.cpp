// SPDX-License-Identifier: MIT
// The torture in two pid namespaces at once, in which processes have the same pids and cannot see each other. At last one of the namespaces dies as a
// whole, with whatever its workers hold, and all must be free.
#include <fmt/core.h>
#include <sys/prctl.h>

#include "own_mounts.hpp"
#include "torture.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr int kWorkersEach = 5;

// The next child is the first process of a pid namespace.
void unshare_pids(bool users_too) { leave(CLONE_NEWPID, users_too); }

// Runs `body` as the first process of a new pid namespace. The pid is that of its parent, whose death is the death of all in there.
template <class Body>
pid_t spawn_in_namespace(bool users_too, unsigned most_seconds, Body body) {
  return spawn([&] {
    alarm(most_seconds);
    unshare_pids(users_too);
    const pid_t first = spawn([&] {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      body();
    });
    if (!reap(first)) throw std::runtime_error{"a namespace ended badly"};
  });
}

std::string obstacle(bool users_too) {
  return obstacle_to([&] {
    unshare_pids(users_too);
    if (!reap(spawn([] {}))) throw std::runtime_error{"no process can be started in a pid namespace"};
  });
}

// How many names a survivor cannot have in time.
std::uint64_t not_free(const Store& store) {
  std::uint64_t stuck = 0;
  for (int i = 0; i < kTorturedNames; ++i) {
    const auto lock = store.lock(fmt::format("{}", i));
    stuck += !lock->try_acquire_for(10s);
  }
  return stuck;
}

}  // namespace

void namespace_run(const Run& run, Report& report) {
  // One of them in a user namespace too, where that can be had; both where there is no other way.
  const bool is_root = geteuid() == 0;
  if (const std::string why = obstacle(!is_root); !why.empty()) return report.skip(why);
  const bool users_too[kMaxCrews] = {!is_root, obstacle(true).empty()};

  const Store store{run.backend};
  const Shared<Torture> t;
  measure(*t, store);
  pid_t outer[kMaxCrews];
  for (int crew = 0; crew < kMaxCrews; ++crew)
    outer[crew] = spawn_in_namespace(users_too[crew], static_cast<unsigned>(run.seconds) + 30, [&] {
      supervise(*t, store, {.number = crew, .crews = kMaxCrews, .workers = kWorkersEach}, run.seed, crew == 0 ? run.seconds : 1e6);
    });
  // The second one does not come to its own end: the first one ends, and it is killed in the middle.
  t->failed.fetch_add(!reap(outer[0]));
  for (auto& d : t->name)
    for (int i = 0; i < kWorkersEach; ++i) mark_killed(d, kWorkersEach + i, UINT64_MAX >> 16);
  kill(outer[1], SIGKILL);
  waitpid(outer[1], nullptr, 0);
  const std::uint64_t stuck = not_free(store);

  report.count("twins", t->twins);
  report.broken("no twins", t->twins == 0);
  report.broken("not free after the death of a namespace", stuck);
  t->tell(report, store.debris(kTorturedNames));
}

}  // namespace stress
