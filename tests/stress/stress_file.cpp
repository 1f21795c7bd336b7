// SPDX-License-Identifier: MIT
// stress_file --run kill|lease|removal|fork|share|wait [--seconds S] [--seed N]: hurts file locks and looks for broken promises. One line of figures;
// the exit code is 0 when all promises were kept.
#include <dirent.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "stress.hpp"

namespace stress {

namespace {

template <class Visit>
void for_each_in(const std::string& directory, Visit visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir{opendir(directory.c_str()), closedir};
  while (const dirent* entry = dir ? readdir(dir.get()) : nullptr)
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) visit(std::string{entry->d_name});
}

}  // namespace

int descriptors(const std::string& ending) {
  int found = 0;
  for_each_in("/proc/self/fd", [&](const std::string& name) {
    char target[4096];
    const ssize_t size = readlink(("/proc/self/fd/" + name).c_str(), target, sizeof target);
    if (size > 0 && std::string_view{target, static_cast<std::size_t>(size)}.ends_with(ending)) ++found;
  });
  return found;
}

int files_in(const std::string& directory) {
  int found = 0;
  for_each_in(directory, [&](const std::string& name) { found += name != ".sherlock"; });
  return found;
}

}  // namespace stress

int main(int argc, char** argv) {
  using namespace stress;
  Run run{3, static_cast<std::uint64_t>(time(nullptr))};
  std::string name;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option{argv[i]};
    if (option == "--lock-files-inherited") return descriptors(".lock");  // a child of the fork run
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--run")
      name = value;
    else if (option == "--seconds")
      run.seconds = std::atof(value);
    else if (option == "--seed")
      run.seed = std::strtoull(value, nullptr, 10);
    else
      name.clear();
  }
  const struct {
    const char* name;
    int (*call)(const Run&);
  } runs[] = {{"kill", kill_run}, {"lease", lease_run}, {"removal", removal_run}, {"fork", fork_run}, {"share", share_run}, {"wait", wait_run}};
  for (const auto& known : runs) {
    if (name != known.name) continue;
    std::printf("%s: seed %llu, %.3g s: ", known.name, static_cast<unsigned long long>(run.seed), run.seconds);
    std::fflush(stdout);
    const int broken = known.call(run);
    std::printf("; %s\n", broken == 0 ? "kept" : "BROKEN");
    return broken == 0 ? 0 : 1;
  }
  std::fputs("usage: stress_file --run kill|lease|removal|fork|share|wait [--seconds S] [--seed N]\n", stderr);
  return 2;
}
