// SPDX-License-Identifier: MIT
// bench [SECTION...] [--backend NAME] [--json] [--quick | --smoke] [--sherlock PROGRAM]: measures. Its exit code says whether it could, not whether the
// machine was quick enough: that is read. tools/bench runs it and makes tables and pictures of what it says.
#include "bench.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <filesystem>

#include "peers_boost.hpp"

namespace bench {

double quantile(std::vector<double> all, double q) {
  const auto at = std::min(all.size() - 1, static_cast<std::size_t>(q * static_cast<double>(all.size())));
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(at), all.end());
  return all[at];
}

const stress::Store* Bench::store(std::string_view backend) const {
  for (const auto& store : stores)
    if (store->backend().name() == backend) return store.get();
  return nullptr;
}

Children::~Children() {
  for (const pid_t pid : pids_) kill(pid, SIGKILL);
  for (const pid_t pid : pids_) waitpid(pid, nullptr, 0);
}

bool Children::all_there() const {
  return std::none_of(pids_.begin(), pids_.end(), [](pid_t pid) {
    siginfo_t ended{};
    return waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0;
  });
}

void Children::join() {
  bool well = true;
  for (const pid_t pid : pids_) well = stress::reap(pid) && well;
  pids_.clear();
  if (!well) throw std::runtime_error{"a process failed"};
}

namespace {

struct Section {
  const char* name;
  void (*measure)(Bench&);
};
constexpr Section kSections[] = {{"pair", pair},   {"hand-off", hand_off}, {"contention", contention}, {"turns", turns},     {"death", death}, {"names", names},
                                 {"waiters", waiters}, {"start", start},   {"run", run},               {"foreign", foreign}, {"looks", looks}, {"idle", idle}};

int usage() {
  std::fputs("usage: bench [SECTION...] [--backend NAME] [--json] [--quick | --smoke] [--sherlock PROGRAM]\nsections:", stderr);
  for (const Section& section : kSections) std::fprintf(stderr, " %s", section.name);
  std::fputs("\n", stderr);
  return 2;
}

// A named_mutex stays where it is until somebody removes it.
void remove_named_mutexes(const support::TempDir& place) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{"/dev/shm", ignored})
    if (entry.path().filename().string().find(BoostNamedMutex::name(place.path())) != std::string::npos) std::filesystem::remove(entry.path(), ignored);
}

void measure(const Section& section, const std::vector<std::string>& backends, Report& report, Amount amount, const std::string& programs,
             const std::string& sherlock) {
  std::vector<std::unique_ptr<stress::Store>> stores;
  for (const std::string& backend : backends) stores.push_back(std::make_unique<stress::Store>(backend));
  const support::TempDir place;
  Bench bench{report, stores, place, amount, programs, sherlock};
  report.section(section.name);
  try {
    section.measure(bench);
  } catch (...) {
    remove_named_mutexes(place);
    throw;
  }
  remove_named_mutexes(place);
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  using namespace bench;
  std::vector<std::string> wanted, backends;
  std::string sherlock;
  bool json = false;
  Amount amount = Amount::full;
  const auto is_section = [](const std::string& name) { return std::any_of(std::begin(kSections), std::end(kSections), [&](const Section& s) { return name == s.name; }); };
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if ((word == "--backend" || word == "--sherlock") && i + 1 < argc) {
      if (word == "--backend")
        backends.push_back(argv[++i]);
      else
        sherlock = argv[++i];
    } else if (word == "--json") {
      json = true;
    } else if (word == "--quick" || word == "--smoke") {
      amount = word == "--quick" ? Amount::quick : Amount::smoke;
    } else if (is_section(word)) {
      wanted.push_back(word);
    } else {
      return usage();
    }
  }
  try {
    if (backends.empty())
      for (const std::string& name : sherlock::registry().names()) backends.push_back(name);
    Report report{json};
    const std::string programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    for (const Section& section : kSections)
      if (wanted.empty() || std::find(wanted.begin(), wanted.end(), section.name) != wanted.end())
        measure(section, backends, report, amount, programs, sherlock);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench: %s\n", e.what());
    return 1;
  }
}
