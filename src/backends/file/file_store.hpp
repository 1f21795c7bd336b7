// SPDX-License-Identifier: MIT
// A directory of lock files with its companion, as this process has it open. One for all locks of the process in that directory; never closed,
// for locks of static duration may outlive everything else. After a fork the child opens its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <sherlock/file_lock.hpp>

#include "local/companion.hpp"
#include "local/table.hpp"
#include "posix/file.hpp"
#include "posix/unique_fd.hpp"

namespace sherlock::file {

class FileStore {
 public:
  // Null: it is missing and was not to be made. Throws what posix/file.hpp and local/companion.hpp throw.
  static std::shared_ptr<FileStore> open(const FileClient& client, posix::Missing missing);

  // The absolute directory of a client.
  static std::string directory_of(const FileClient& client);

  int directory() const { return directory_.get(); }
  const std::string& path() const { return path_; }
  const FileClient& client() const { return client_; }
  local::Companion& companion() { return *companion_; }
  local::Table& table() { return table_; }
  std::uint64_t process() const { return process_; }

  // Whether a process that comes now finds the same directory and companion, and our presence still counts.
  bool current() const;

 private:
  FileStore(const FileClient& client, std::string path, posix::UniqueFd directory);

  const FileClient client_;
  const std::string path_;
  const std::uint64_t process_;
  const posix::UniqueFd directory_;
  std::unique_ptr<local::Companion> companion_;
  local::Table table_;
  struct stat directory_stat_, companion_stat_;
  mutable std::atomic<bool> absent_{false};  // our presence is lost
};

}  // namespace sherlock::file
