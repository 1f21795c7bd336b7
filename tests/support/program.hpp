// SPDX-License-Identifier: MIT
// Runs a program as a user would, and keeps what it says.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "support/subprocess.hpp"

namespace support {

// A file in memory that the program writes into, so that no pipe can fill up and nobody needs to drain one.
class Written {
 public:
  Written() : fd_{::memfd_create("written", MFD_CLOEXEC)} {
    if (fd_ < 0) throw std::system_error{errno, std::generic_category(), "memfd_create"};
  }
  ~Written() {
    if (fd_ >= 0) ::close(fd_);
  }
  Written(Written&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  Written& operator=(Written&&) = delete;

  int fd() const { return fd_; }
  std::string text() const {
    struct stat file {};
    ::fstat(fd_, &file);
    std::string all(static_cast<std::size_t>(file.st_size), '\0');
    const ssize_t got = ::pread(fd_, all.data(), all.size(), 0);
    all.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return all;
  }

 private:
  int fd_;
};

// A program that runs: `argv[0]` is looked up in PATH; stdin is empty. An entry of `environment` is "NAME=value", or "NAME" to unset.
class Program {
 public:
  explicit Program(std::vector<std::string> argv, std::vector<std::string> environment = {}, std::string directory = {})
      : child_{[&] { return become(argv, environment, directory); }} {}

  Child& process() { return child_; }
  // What it has said so far; all, once it has ended.
  std::string out() const { return out_.text(); }
  std::string err() const { return err_.text(); }
  Exit wait(std::chrono::milliseconds patience = kPatience) { return child_.wait(patience); }

 private:
  int become(const std::vector<std::string>& argv, const std::vector<std::string>& environment, const std::string& directory) const {
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (::dup2(nothing, 0) < 0 || ::dup2(out_.fd(), 1) < 0 || ::dup2(err_.fd(), 2) < 0) return kThrew;
    if (!directory.empty() && ::chdir(directory.c_str()) != 0) return kThrew;
    for (const std::string& entry : environment) {
      const auto equals = entry.find('=');
      if (equals == std::string::npos)
        ::unsetenv(entry.c_str());
      else
        ::setenv(entry.substr(0, equals).c_str(), entry.c_str() + equals + 1, 1);
    }
    std::vector<char*> arguments;
    for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    std::perror(arguments[0]);
    return 127;
  }

  Written out_, err_;
  Child child_;
};

struct Finished {
  int code = -1;  // -1: by a signal
  int signal = 0;
  std::string out, err;
};

inline Finished run(std::vector<std::string> argv, std::vector<std::string> environment = {}, std::string directory = {}) {
  Program program{std::move(argv), std::move(environment), std::move(directory)};
  const Exit exit = program.wait();
  return {exit.code, exit.signal, program.out(), program.err()};
}

}  // namespace support
