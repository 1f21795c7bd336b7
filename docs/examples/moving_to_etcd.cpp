// SPDX-License-Identifier: MIT
// moving_to_etcd [URL]: a job that is ready for locks of another machine, with its locks in files, or in the etcd of that URL. Two hosts (here: two
// threads) take turns; in the end somebody who had the lock long ago writes, and is turned away.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sherlock/sherlock.hpp>

using namespace std::chrono_literals;

namespace {

// What the lock protects. It takes nothing from a holder that has a successor already.
class Ledger {
 public:
  // The look and the write are one step. In a database: UPDATE ... WHERE fence <= ?
  bool write(std::uint64_t fence, const std::string& line) {
    const std::lock_guard guard{mutex_};
    if (fence < newest_) return false;
    newest_ = fence;
    lines_.push_back(line);
    return true;
  }

  std::size_t size() const { return lines_.size(); }
  std::uint64_t newest() const { return newest_; }

 private:
  std::mutex mutex_;
  std::uint64_t newest_ = 0;
  std::vector<std::string> lines_;
};

enum class Night { done, somebody_else, stop, store_failed };

Night close_the_books(Ledger& ledger) {
  sherlock::Lock job{"nightly", {.expire = 30s, .timeout = 20s}};
  try {
    std::unique_lock hold{job};
    const std::uint64_t fence = job.fence();
    sherlock::Keeper keeper{job};  // without it the hold ends after 30 s
    for (const char* line : {"orders", "returns", "stock"}) {
      if (keeper.stop_token().stop_requested()) return Night::stop;
      if (!ledger.write(fence, line)) return Night::stop;  // the hold was over and nobody had told us yet
    }
    return Night::done;
  } catch (const sherlock::LockTimeoutException&) {
    return Night::somebody_else;
  } catch (const sherlock::LockNotHeldException&) {
    return Night::stop;  // over before the Keeper came: this machine had stood still
  } catch (const sherlock::BackendException& failure) {
    std::cerr << failure.what() << '\n';  // it is not known who has the lock, so it is not ours
    return Night::store_failed;
  }
}

}  // namespace

int main(int argc, char** argv) {
  char made[] = "/tmp/moving-XXXXXX";
  if (!mkdtemp(made)) return EXIT_FAILURE;
  const std::string directory = made;
  try {
    if (argc < 2) {
      sherlock::configure({.backend = "file", .client = directory});
    } else {
      const std::string url = argv[1];
      sherlock::configure({.backend = "etcd", .client = url});
    }
  } catch (const sherlock::ConfigurationException& refused) {
    std::cerr << refused.what() << '\n';
    return EXIT_FAILURE;
  }

  Ledger ledger;
  Night nights[2]{};
  {
    std::jthread here{[&] { nights[0] = close_the_books(ledger); }}, there{[&] { nights[1] = close_the_books(ledger); }};
  }
  std::filesystem::remove_all(directory);
  if (nights[0] != Night::done || nights[1] != Night::done) return EXIT_FAILURE;
  const bool late = ledger.write(ledger.newest() - 1, "written by one who had been stopped");
  std::cout << *sherlock::configuration().backend << ": " << ledger.size() << " lines, the last with fence " << ledger.newest()
            << "; who came late was " << (late ? "let in" : "turned away") << '\n';
  return ledger.size() == 6 && !late ? EXIT_SUCCESS : EXIT_FAILURE;
}
