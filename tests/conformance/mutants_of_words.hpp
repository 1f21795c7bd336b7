// SPDX-License-Identifier: MIT
// Mutants that are wrong about names, failures, and what they tell.
#pragma once

#include <algorithm>
#include <cctype>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "reference_lock.hpp"

namespace reference {

// ---- names

struct FoldsCase : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::string key_of(const Claim& claim) const override {
    std::string key = std::string{claim.ns} + '\0' + std::string{claim.name};
    std::transform(key.begin(), key.end(), key.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return key;
  }
};

// Names are C strings here.
struct EndsAtZero : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::string key_of(const Claim& claim) const override {
    return std::string{claim.ns} + '\0' + std::string{claim.name.substr(0, claim.name.find('\0'))};
  }
};

struct CutsLongNames : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::string key_of(const Claim& claim) const override { return std::string{claim.ns} + '\0' + std::string{claim.name.substr(0, 255)}; }
};

struct JoinsNsAndName : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::string key_of(const Claim& claim) const override {
    return claim.ns.empty() ? '\0' + std::string{claim.name} : std::string{claim.ns} + "_" + std::string{claim.name};
  }
};

// Puts a suffix of its own in the place of the name's.
struct CutsSuffixes : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::string key_of(const Claim& claim) const override {
    std::string name{claim.name};
    const bool job = name.starts_with("job");  // other clauses use names with dots, too
    return std::string{claim.ns} + '\0' + (job ? name.substr(0, name.rfind('.')) : name);
  }
};

struct NamesTheNameless : ReferenceLock {
  NamesTheNameless(std::string name, Options options, Client client)
      : ReferenceLock{name.empty() ? "default" : std::move(name), std::move(options), std::move(client)} {}
};

// ---- errors

struct FailureIsBusy : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    try {
      return ReferenceLock::do_acquire(claim);
    } catch (const std::exception&) {
      return std::nullopt;
    }
  }
};

// Waits until the store comes back.
struct FailureIsAHang : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    for (int round = 0; round < 40; ++round) {
      try {
        return ReferenceLock::do_acquire(claim);
      } catch (const std::exception&) {
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
      }
    }
    throw std::runtime_error{"the store does not come back"};
  }
};

struct FailsForEver : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim& claim) override {
    if (failed) throw std::runtime_error{"the store has failed before"};
    failed = true;
    auto grant = ReferenceLock::do_acquire(claim);
    failed = false;
    return grant;
  }
  std::atomic<bool> failed = false;
};

// ---- looking

// Finds out whether the lock is held by taking it.
struct LooksByTaking : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool do_locked(const Claim& claim) const override {
    {
      const Store::Inside inside{store()};
      Entry& entry = this->entry(claim);
      if (entry.held) return !is_over(entry, claim);
      entry.held = true;
      entry.holder = store().me();
      entry.ends = nanoseconds::max().count();
    }
    std::this_thread::sleep_for(std::chrono::microseconds{200});
    free(key());
    return false;
  }
};

struct SeesItselfOnly : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool do_locked(const Claim& claim) const override { return held() || (!asked_here && ReferenceLock::do_locked(claim)); }
  std::optional<Grant> do_acquire(const Claim& claim) override {
    asked_here = true;
    return ReferenceLock::do_acquire(claim);
  }
  std::atomic<bool> asked_here = false;
};

struct KeepsTheFirstLabel : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  void take(Entry& entry, const Claim& claim) override {
    Claim labelled = claim;
    const std::string before{entry.label, entry.label_size};
    if (entry.fence != 0) labelled.label = before;
    ReferenceLock::take(entry, labelled);
  }
};

// ---- RAII

// The base class's destructor comes too late to let go.
struct ForgetsToLetGo final : ReferenceLock {
  using ReferenceLock::ReferenceLock;
};

struct MindsExceptions : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  bool do_release(const Claim& claim) override {
    if (std::uncaught_exceptions() > 0) throw std::runtime_error{"rolled back"};
    return ReferenceLock::do_release(claim);
  }
};

struct DropsOnLost : ReferenceLock {
  DropsOnLost(std::string name, Options options, Client client)
      : ReferenceLock{std::move(name), without(std::move(options)), std::move(client)} {}
  static Options without(Options options) {
    options.on_lost = {};
    return options;
  }
};

struct TellsTwice : ReferenceLock {
  TellsTwice(std::string name, Options options, Client client) : ReferenceLock{std::move(name), twice(std::move(options)), std::move(client)} {}
  static Options twice(Options options) {
    options.on_lost = [told = options.on_lost](const sherlock::LockException& what) {
      told(what);
      told(what);
    };
    return options;
  }
};

// ---- of no clause, and caught by every one

struct Crashes : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim&) override { std::abort(); }
};

struct Hangs : ReferenceLock {
  using ReferenceLock::ReferenceLock;
  std::optional<Grant> do_acquire(const Claim&) override {
    for (;;) std::this_thread::sleep_for(std::chrono::hours{1});
  }
};

}  // namespace reference
