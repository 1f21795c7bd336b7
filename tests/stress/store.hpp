// SPDX-License-Identifier: MIT
// A fresh store of any built-in backend, and the little that the runs must know of each. Locks come from the registry, so nothing here is
// compiled against a backend.
#pragma once

#include <sherlock/sherlock.hpp>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/temp_dir.hpp"

namespace stress {

// Made and removed by one process; forked children use it and leave it. Copyable text only, so that a child may ask it anything.
class Store {
 public:
  // ConfigurationException where there is no such backend. `options` go behind the client's '?'.
  explicit Store(std::string_view backend, std::string_view options = {});
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  std::unique_ptr<sherlock::BaseLock> lock(std::string name, sherlock::Options options = {}) const;
  const sherlock::Backend& backend() const { return backend_; }
  std::string client() const { return place_ + options_; }
  std::vector<sherlock::LockInfo> list() const { return backend_.list(client()); }
  std::size_t clean() const { return backend_.clean(client()); }

  // Locks are files that programs which know nothing of us lock, too.
  bool is_files() const { return backend_.name() == "file"; }
  // The file or directory that the client names.
  const std::string& place() const { return place_; }
  std::string companion() const;
  // What is made first: the directory, the segment, the database.
  std::string root() const { return backend_.name() == "shm" ? companion() : place_; }
  // A path of its own for something else, on the same file system as the store where that is a file.
  std::string beside(std::string_view name) const { return directory_ / name; }
  // Lets other users make things beside the root.
  void open_to_all() const;
  // The file that is this lock, where locks are files; else the one that has them all.
  std::string path(const std::string& name) const;
  // How the paths of those descriptors end that keep a hold alive.
  std::string held_by() const;
  // What lies in the store beyond itself and the files of `names` locks.
  int debris(int names) const;

 private:
  const sherlock::Backend backend_;
  const support::TempDir directory_;
  const std::string place_, options_;
  const pid_t maker_ = getpid();
};

// How many descriptors of this process lead to something whose path ends so; all of them for "".
int descriptors(const std::string& ending = {});

}  // namespace stress
