// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sherlock/base_lock.hpp>
#include <sherlock/export.hpp>

namespace sherlock {

// Which segment of shared memory the locks are in.
struct SHERLOCK_API ShmClient {
  ShmClient() = default;  // "/sherlock-<uid>", the same for every process of a user whatever its environment
  // "NAME" or "/NAME", as of shm_open(3), with "?mode=0660" behind it where users share it. ConfigurationException for anything else.
  ShmClient(std::string_view text);
  ShmClient(const char* text) : ShmClient{std::string_view{text}} {}
  ShmClient(const std::string& text) : ShmClient{std::string_view{text}} {}

  std::string segment{};           // without the slash; made if missing; empty is the default one
  std::optional<unsigned> mode{};  // of a segment shared between users; else 0600
};

// A lock that is a word of POSIX shared memory: an uncontended acquire or release makes no system call and costs about as much as a robust
// pthread mutex. Excludes between all processes of this host that see the same /dev/shm. A dead holder's lock is free at once.
// Any number of names may be held; a process takes one descriptor for all of them.
class SHERLOCK_API ShmLock final : public BaseLock {
 public:
  using Client = ShmClient;
  static Client connect(std::string_view text) { return Client{text}; }

  static constexpr Traits traits{.sees_death = true,
                                 .fences = true,
                                 .wakes = true,
                                 .fair = true,
                                 .never = true,
                                 .scope = Scope::host,
                                 .default_expire = never};

  // Opens the segment: BackendException when it cannot be made or is not safe to use.
  explicit ShmLock(std::string name, Options options = {}, Client client = {});
  ~ShmLock() override;

  // Of the segment, as shm_open(3) takes it: "/sherlock-1000".
  std::string segment() const;

  // The locks of a segment that were taken there since it was made, and not cleaned since. A segment that does not exist has none.
  static std::vector<LockInfo> list(const Client& client);
  // Forgets the locks that nobody holds or waits for. Safe beside everybody else. Returns how many.
  static std::size_t clean(const Client& client);

 private:
  std::optional<Grant> do_acquire(const Claim& claim) override;
  bool do_release(const Claim& claim) override;
  bool do_renew(const Claim& claim) override;
  bool do_locked(const Claim& claim) const override;
  std::optional<Holder> do_holder(const Claim& claim) const override;
  void do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) override;
  std::uint64_t do_acquire_at_once(std::int64_t wall, std::chrono::nanoseconds lease_ends) noexcept override;
  bool do_release_at_once(std::uint64_t fence, std::int64_t wall) noexcept override;
  std::vector<int> do_inheritable(const Claim& claim) const override;

  class Impl;
  struct Binding;
  Impl& impl() const;
  std::atomic<const Binding*> quick_{nullptr};  // for the process that BaseLock knows as having held: where that was
  mutable std::atomic<Impl*> impl_;             // a forked child makes its own
};

}  // namespace sherlock
