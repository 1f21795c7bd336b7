// SPDX-License-Identifier: MIT
// One worker of tools/demo: adds one to a number in a file, COUNT times, each time under the lock. Reading, thinking and writing are
// three steps, so two workers at once would lose additions. What it is about to do it writes to a journal first; whoever gets the
// lock after a worker that died does the dead one's addition from there, so none is lost and none is made twice.
//
//   demo-worker BACKEND CLIENT LOCK DIRECTORY COUNT LABEL [STALL_AT]
//
// An empty CLIENT is the backend's default one, BACKEND "none" is no lock at all. At its addition STALL_AT the worker stands still in the
// middle, holding the lock, until somebody kills it.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include <sherlock/sherlock.hpp>

namespace {

using namespace std::chrono_literals;

long long now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

void think() {
  constexpr timespec kAMoment{0, 100'000};
  nanosleep(&kAMoment, nullptr);
}

// Every line is one write() to its end, so that lines keep their order even where the lock fails.
class Journal {
 public:
  explicit Journal(const std::string& path) : path_{path}, fd_{open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)} {
    if (fd_ < 0) throw std::runtime_error{"cannot write " + path};
  }
  ~Journal() { close(fd_); }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void write(const char* what, std::uint64_t fence, long value) {
    const std::string line = what + (' ' + std::to_string(getpid())) + ' ' + std::to_string(fence) + ' ' + std::to_string(now()) + ' ' +
                             std::to_string(value) + '\n';
    if (::write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) throw std::runtime_error{"cannot write " + path_};
  }

  // The number that the last line of the journal promised and did not reach; 0 where it did.
  long promised() const {
    std::ifstream in{path_};
    std::string line, last;
    while (std::getline(in, line)) last = line;
    return last.starts_with("start ") || last.starts_with("stall ") ? std::stol(last.substr(last.rfind(' '))) : 0;
  }

 private:
  std::string path_;
  int fd_;
};

class Worker {
 public:
  Worker(const std::string& directory, sherlock::BaseLock* lock)
      : lock_{lock}, counter_{directory + "/counter"}, journal_{directory + "/journal"} {}

  void add_one(bool stall) {
    if (lock_) lock_->acquire();
    const std::uint64_t fence = lock_ ? lock_->fence() : 0;
    if (lock_ && lock_->abandoned()) finish_for_the_dead(fence);

    const long value = read() + 1;
    journal_.write("start", fence, value);
    think();
    if (stall) stand_still(fence, value);
    write(value);
    journal_.write("done", fence, value);
    if (lock_) lock_->release();
  }

 private:
  void finish_for_the_dead(std::uint64_t fence) {
    const long value = journal_.promised();
    if (value) write(value);
    journal_.write("repair", fence, value);
  }

  [[noreturn]] void stand_still(std::uint64_t fence, long value) {
    journal_.write("stall", fence, value);
    for (;;) pause();
  }

  long read() const {
    long value = 0;
    std::ifstream{counter_} >> value;
    return value;
  }

  void write(long value) const {
    const int fd = open(counter_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const std::string digits = std::to_string(value), text = std::string(10 - digits.size(), ' ') + digits;  // always as long as before
    const bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (fd >= 0) close(fd);
    if (!written) throw std::runtime_error{"cannot write " + counter_};
  }

  sherlock::BaseLock* lock_;
  std::string counter_;
  Journal journal_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7 || argc > 8) {
    std::cerr << "usage: demo-worker BACKEND CLIENT LOCK DIRECTORY COUNT LABEL [STALL_AT]\n";
    return 64;
  }
  const std::string backend = argv[1], client = argv[2], directory = argv[4];
  const int count = std::atoi(argv[5]), stall_at = argc == 8 ? std::atoi(argv[7]) : 0;
  try {
    std::unique_ptr<sherlock::Lock> lock;
    if (backend != "none") {
      sherlock::configure({.backend = backend, .client = client.empty() ? sherlock::AnyClient{} : client, .timeout = 60s, .label = argv[6]});
      lock = std::make_unique<sherlock::Lock>(argv[3]);
    }
    Worker worker{directory, lock.get()};
    for (int i = 1; i <= count; ++i) worker.add_one(i == stall_at);
  } catch (const std::exception& e) {
    std::cerr << "demo-worker: " << e.what() << '\n';
    return 1;
  }
}
