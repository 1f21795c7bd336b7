// SPDX-License-Identifier: MIT
// A job under a lease that a Keeper renews, in a directory of its own: a step stops the whole program past its lease, somebody else gets the lock,
// and the job ends as soon as it goes on.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

#include <sherlock/sherlock.hpp>

using namespace std::chrono_literals;

namespace {

// Exports up to `pages` pages. False: the lock was lost on the way, and the export is half done.
bool export_all(sherlock::BaseLock& job, int pages, void (*export_page)(int)) {
  job.acquire();
  sherlock::Keeper keeper{job};  // renews the lease from here on
  for (int page = 1; page <= pages; ++page) {
    if (keeper.stop_token().stop_requested()) return false;
    export_page(page);
  }
  job.release();  // the keeper's thread is gone before the lock is
  return true;
}

// Somebody else's process: waits for the lock, and lets the one that was stopped go on.
void take_over(const std::string& directory, pid_t stopped) {
  sherlock::FileLock job{"export", {.timeout = 20s}, directory};
  job.acquire();
  std::cout << "somebody else has it; the one before ended " << (job.abandoned() ? "without a release" : "well") << std::endl;
  kill(stopped, SIGCONT);
}

}  // namespace

int main() {
  char made[] = "/tmp/keeping-XXXXXX";
  if (!mkdtemp(made)) return EXIT_FAILURE;
  const std::string directory = made;

  const pid_t exporter = fork();
  if (exporter == 0) {
    sherlock::configure({.backend = "file", .client = directory});
    sherlock::Lock job{"export", {.expire = 1s, .on_lost = [](const sherlock::LockException& what) { std::cout << what.what() << std::endl; }}};
    const bool first = export_all(job, 3, [](int) { usleep(700'000); });  // twice as long as the lease
    const bool second = export_all(job, 100, [](int page) {
      if (page == 2) raise(SIGSTOP);
      usleep(20'000);
    });
    std::cout << "the first export " << (first ? "is complete" : "was lost") << ", the second " << (second ? "is complete" : "was lost") << std::endl;
    _exit(first && !second ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  int status = 0;
  waitpid(exporter, &status, WUNTRACED);
  const pid_t other = fork();
  if (other == 0) {
    take_over(directory, exporter);
    _exit(EXIT_SUCCESS);
  }
  waitpid(other, nullptr, 0);
  waitpid(exporter, &status, 0);
  std::filesystem::remove_all(directory);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
