// SPDX-License-Identifier: MIT
// A backend that grants or refuses as it is told, and notes what it was asked and with which client. One Spy is one store.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sherlock/base_lock.hpp>

struct Spy {
  bool free = true;
  bool answers = true;
  std::vector<std::string> calls;  // "acquire orders", by hook and key prefix
  std::optional<sherlock::Owner> owner;
  std::string label;

  void heard(const char* hook, const sherlock::Claim& claim) {
    calls.push_back(std::string{hook} + " " + std::string{claim.name});
    if (!answers) throw std::runtime_error{"the spy is deaf"};
  }
};

// The client of a spy backend. Text makes a fresh Spy that remembers it.
struct SpyClient {
  std::shared_ptr<Spy> spy = std::make_shared<Spy>();
  std::string text = "default-made";
};

class SpyLock : public sherlock::BaseLock {
 public:
  using Client = SpyClient;
  static Client connect(std::string_view text) {
    if (text == "nonsense") throw sherlock::ConfigurationException{"nonsense is no place"};
    return {.text = std::string{text}};
  }

  static constexpr sherlock::Traits traits{.never = true, .scope = sherlock::Scope::process, .default_expire = std::chrono::seconds{42}};

  explicit SpyLock(std::string name, sherlock::Options options = {}, Client client = {})
      : BaseLock{std::move(name), std::move(options), traits, "spy"}, client_{std::move(client)} {
    last_client = client_.text;
  }
  ~SpyLock() override { let_go(); }

  inline static thread_local std::string last_client;  // of the lock that was made last

 private:
  Spy& spy() const { return *client_.spy; }

  std::optional<sherlock::Grant> do_acquire(const sherlock::Claim& claim) override {
    spy().heard("acquire", claim);
    if (!spy().free) return std::nullopt;
    spy().free = false;
    spy().owner = claim.owner;
    spy().label = claim.label;
    return sherlock::Grant{.fence = 7};
  }
  bool do_release(const sherlock::Claim& claim) override {
    spy().heard("release", claim);
    if (spy().owner != claim.owner) return false;
    spy().owner.reset();
    return spy().free = true;
  }
  bool do_renew(const sherlock::Claim& claim) override {
    spy().heard("renew", claim);
    return spy().owner == claim.owner;
  }
  bool do_locked(const sherlock::Claim& claim) const override {
    spy().heard("locked", claim);
    return !spy().free;
  }
  std::optional<sherlock::Holder> do_holder(const sherlock::Claim& claim) const override {
    spy().heard("holder", claim);
    if (spy().free) return std::nullopt;
    return sherlock::Holder{.label = spy().label};
  }
  std::vector<int> do_inheritable(const sherlock::Claim& claim) const override {
    spy().heard("inheritable", claim);
    return {3};
  }

  Client client_;
};
