// SPDX-License-Identifier: MIT
// A directory of the test's own, mode 0700, removed with everything in it at the end: by the process that made it, not by
// its forked children.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>

namespace support {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sherlock-test-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::system_error{errno, std::generic_category(), "mkdtemp " + pattern};
    path_ = pattern;
  }
  ~TempDir() {
    if (::getpid() != maker_) return;
    std::error_code ignored;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);  // a test may have taken them away
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + '/' + std::string{name}; }

  // Makes a file, or replaces what is in it. Its path.
  std::string write(std::string_view name, std::string_view content = {}) const {
    const std::string file = *this / name;
    std::ofstream out{file, std::ios::binary | std::ios::trunc};
    if (!(out << content).flush()) throw std::system_error{errno, std::generic_category(), "cannot write " + file};
    return file;
  }
  std::string read(std::string_view name) const {
    std::ifstream in{*this / name, std::ios::binary};
    if (!in) throw std::system_error{errno, std::generic_category(), "cannot read " + *this / name};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

 private:
  std::string path_;
  const pid_t maker_ = ::getpid();
};

}  // namespace support
