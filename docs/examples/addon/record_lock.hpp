// SPDX-License-Identifier: MIT
// Locks that are records in files, one file for each lock: who has it, until when, and how often it was granted. Between the processes of
// one host. A hold is a lease: it outlives its process until it ends, and says so (see `traits`).
//
// It promises less than sherlock's own `file`: nobody sees a holder die, and waiters look again and again. What it shows is how a
// store of records becomes a backend: each hook is one step on one record.
#pragma once

#include <optional>
#include <string>

#include <sherlock/base_lock.hpp>

namespace record {

// Where the files are: a directory that exists, and that only those can write who share the locks.
struct Directory {
  explicit Directory(std::string path) : path{std::move(path)} {}
  std::string path;
};

class RecordLock final : public sherlock::BaseLock {
 public:
  // From text: through its constructor. There is no default, so whoever configures the backend has to name one.
  using Client = Directory;

  static constexpr sherlock::Traits traits{.fences = true, .scope = sherlock::Scope::host};

  RecordLock(std::string name, sherlock::Options options, Client client);
  ~RecordLock() override;

 private:
  std::optional<sherlock::Grant> do_acquire(const sherlock::Claim& claim) override;
  bool do_release(const sherlock::Claim& claim) override;
  bool do_renew(const sherlock::Claim& claim) override;
  bool do_locked(const sherlock::Claim& claim) const override;
  std::optional<sherlock::Holder> do_holder(const sherlock::Claim& claim) const override;

  const Client client_;
};

}  // namespace record
