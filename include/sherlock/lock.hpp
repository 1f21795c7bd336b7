// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include <sherlock/base_lock.hpp>
#include <sherlock/export.hpp>
#include <sherlock/registry.hpp>

namespace sherlock {

// A lock of whatever backend is configured. What configure() says is taken when the lock is made; later calls do not change it.
// Promises what that backend promises, and costs no more than its own class.
class SHERLOCK_API Lock final : public BaseLock {
 public:
  // ConfigurationException when no backend is configured.
  explicit Lock(std::string name, Options options = {}, const Registry& from = registry());
  ~Lock() override;

 private:
  explicit Lock(std::unique_ptr<BaseLock> inner);

  std::optional<Grant> do_acquire(const Claim& claim) override;
  bool do_release(const Claim& claim) override;
  bool do_renew(const Claim& claim) override;
  bool do_locked(const Claim& claim) const override;
  std::optional<Holder> do_holder(const Claim& claim) const override;
  void do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) override;
  std::uint64_t do_acquire_at_once(std::int64_t wall, std::chrono::nanoseconds lease_ends) noexcept override;
  bool do_release_at_once(std::uint64_t fence, std::int64_t wall) noexcept override;
  std::vector<int> do_inheritable(const Claim& claim) const override;

  std::unique_ptr<BaseLock> inner_;
};

}  // namespace sherlock
