// SPDX-License-Identifier: MIT
// Boost.Interprocess's two locks that have names.
#pragma once

#include <boost/interprocess/sync/file_lock.hpp>
#include <boost/interprocess/sync/named_mutex.hpp>

#include <algorithm>
#include <fstream>
#include <string>

namespace bench {

// A semaphore in /dev/shm, where it stays until somebody removes it: whoever measures does.
class BoostNamedMutex {
 public:
  explicit BoostNamedMutex(const std::string& path) : mutex_{boost::interprocess::open_or_create, name(path).c_str()} {}
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  static std::string name(std::string path) {
    std::replace(path.begin(), path.end(), '/', '-');
    return "sherlock-bench" + path;
  }

 private:
  boost::interprocess::named_mutex mutex_;
};

// fcntl(2) upon a file that must be there.
class BoostFileLock {
 public:
  explicit BoostFileLock(const std::string& path) : lock_{made(path).c_str()} {}
  void lock() { lock_.lock(); }
  void unlock() { lock_.unlock(); }

 private:
  static const std::string& made(const std::string& path) {
    std::ofstream{path, std::ios::app};
    return path;
  }

  boost::interprocess::file_lock lock_;
};

}  // namespace bench
