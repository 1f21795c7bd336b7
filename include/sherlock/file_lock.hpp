// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sherlock/base_lock.hpp>
#include <sherlock/export.hpp>

namespace sherlock {

// Where the lock files are.
struct SHERLOCK_API FileClient {
  FileClient() = default;  // /tmp/sherlock-<uid>, the same for every process of a user whatever its environment
  // "DIRECTORY", "DIRECTORY?mode=0660" or "DIRECTORY?remote=allow" (joined by &). ConfigurationException for anything else after '?'.
  FileClient(std::string_view text);
  FileClient(const char* text) : FileClient{std::string_view{text}} {}
  FileClient(const std::string& text) : FileClient{std::string_view{text}} {}

  std::string directory{};         // made if missing (not its parents); empty is the default one
  std::optional<unsigned> mode{};  // of the files, for a directory shared between users; else 0600 in a directory nobody else may write
  bool allow_remote = false;       // network and FUSE file systems too, where exclusion is the user's own responsibility
};

// A lock that is a file locked with flock(2), so that flock(1), Python's filelock and every other user of flock(2) on path() exclude it and are
// excluded. Excludes between all processes of this host that see the directory. A dead holder's lock is free at once.
// Needs a local file system; others are refused. A held lock costs one descriptor.
class SHERLOCK_API FileLock final : public BaseLock {
 public:
  using Client = FileClient;
  static Client connect(std::string_view text) { return Client{text}; }

  static constexpr Traits traits{.sees_death = true,
                                 .fences = true,
                                 .wakes = true,
                                 .fair = true,
                                 .never = true,
                                 .scope = Scope::host,
                                 .default_expire = never};

  // Opens the store: BackendException when it cannot be made or is not safe to use.
  explicit FileLock(std::string name, Options options = {}, Client client = {});
  ~FileLock() override;

  // The file that flock(1) and others lock to exclude us. Made by the first acquire.
  std::string path() const;

  // The locks of a store that were taken there since the machine was started, and not cleaned since. A store that does not exist has none.
  static std::vector<LockInfo> list(const Client& client);
  // Removes the files and entries of locks that nobody holds or waits for, and that were not abandoned (their next holder is to be told).
  // Safe beside everybody else. Returns how many.
  static std::size_t clean(const Client& client);

 private:
  std::optional<Grant> do_acquire(const Claim& claim) override;
  bool do_release(const Claim& claim) override;
  bool do_renew(const Claim& claim) override;
  bool do_locked(const Claim& claim) const override;
  std::optional<Holder> do_holder(const Claim& claim) const override;
  void do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) override;
  std::vector<int> do_inheritable(const Claim& claim) const override;

  class Impl;
  Impl& impl() const;
  mutable std::atomic<Impl*> impl_;  // a forked child makes its own
};

}  // namespace sherlock
