// SPDX-License-Identifier: MIT
// The lock of the reference store: keeps every clause, as long as nobody overrides a hook. LetsGo<ReferenceLock> is the whole backend.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include <sherlock/base_lock.hpp>

#include "reference_store.hpp"

namespace reference {

using sherlock::Attempt, sherlock::Claim, sherlock::Grant, sherlock::Holder, sherlock::Options, sherlock::Owner;
using std::chrono::nanoseconds;

class ReferenceLock : public sherlock::BaseLock {
 public:
  using Client = std::string;  // the directory

  static constexpr sherlock::Traits traits{.sees_death = true,
                                           .fences = true,
                                           .wakes = true,
                                           .fair = true,
                                           .never = true,
                                           .scope = sherlock::Scope::host,
                                           .default_expire = sherlock::never};

  ReferenceLock(std::string name, Options options, Client client, Store::Presence presence = Store::Presence::right,
                const sherlock::Traits& traits = ReferenceLock::traits)
      : BaseLock{std::move(name), std::move(options), traits, "reference"}, directory_{std::move(client)}, presence_{presence} {}

 protected:
  std::optional<Grant> do_acquire(const Claim& claim) override;
  bool do_release(const Claim& claim) override;
  bool do_renew(const Claim& claim) override;
  bool do_locked(const Claim& claim) const override;
  std::optional<Holder> do_holder(const Claim& claim) const override;
  void do_wait(const Claim& claim, nanoseconds deadline, std::stop_token stop) override;

  // What the hooks are made of.
  virtual std::string key_of(const Claim& claim) const { return std::string{claim.key}; }
  virtual bool is_over(const Entry& entry, const Claim& claim) const;  // the hold, by death or expiry
  virtual bool may_take(const Entry& entry, const Claim& claim) const;
  virtual void take(Entry& entry, const Claim& claim);

  Store& store() const { return Store::at(directory_, presence_); }  // reached late: a store that cannot be is a verb's failure
  Entry& entry(const Claim& claim) const { return store().entry(key_of(claim)); }
  bool is_mine(const Entry& entry, const Claim& claim) const { return entry.held && entry.owner == claim.owner && !is_over(entry, claim); }
  // For mutants: the lock comes free, whoever has it.
  void free(const std::string& key) const;

 private:
  const std::string directory_;
  const Store::Presence presence_;
};

// The same store, seen by somebody who promises nothing that can be left out: it sees no death, wakes nobody and counts no fences. As with servers
// that know nothing but keys with an expiry.
class WeakLock : public ReferenceLock {
 public:
  static constexpr sherlock::Traits traits{};
  WeakLock(std::string name, Options options, Client client)
      : ReferenceLock{std::move(name), std::move(options), std::move(client), Store::Presence::right, traits} {}

 protected:
  std::optional<Grant> do_acquire(const Claim& claim) override;
  bool is_over(const Entry& entry, const Claim& claim) const override { return claim.now().count() >= entry.ends; }
  void do_wait(const Claim& claim, nanoseconds deadline, std::stop_token stop) override;
};

// A backend's destructor must let go, and only the last class of all can.
template <class L>
class LetsGo final : public L {
 public:
  using L::L;
  ~LetsGo() override { this->let_go(); }
};

}  // namespace reference
