// SPDX-License-Identifier: MIT
// Locks in the memory of a memcached server. In the library libsherlock-memcached.so: the registry finds it as backend "memcached", or link it and use the class.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <sherlock/base_lock.hpp>
#include <sherlock/export.hpp>

namespace sherlock {

namespace addons::memcached {
class Server;
}

// Which server: one, not a pool of them. Locks of one URL share connections; no connection is made before the first verb.
class SHERLOCK_API MemcachedClient {
 public:
  MemcachedClient();  // memcached://localhost:11211
  // memcached://[USER:PASSWORD@]HOST[:PORT] or memcached+unix://[USER:PASSWORD@]/PATH; an option after '?': password_file=PATH. User and password are for a server
  // with an --auth-file. ConfigurationException for anything else, a list of servers and SASL included; it does not show the password.
  MemcachedClient(std::string_view url);
  MemcachedClient(const char* url) : MemcachedClient{std::string_view{url}} {}
  MemcachedClient(const std::string& url) : MemcachedClient{std::string_view{url}} {}

  // With *** for the password.
  std::string text() const;

 private:
  friend class MemcachedLock;
  std::shared_ptr<addons::memcached::Server> server_;
};

// A lock that is an item of a memcached server (version 1.4 or later): best effort. A cache may forget: what it evicts, flushes or loses in a restart is lost, and
// reported as lost by the holder's next verb; until then two may believe in it. A dead holder's lock is free for a waiter that has watched its lease, and a ninth of
// it, pass without a renewal; for one who only looks, a minute later, when the server lets the item expire. Nothing is woken: waiters ask every retry_interval.
// Fences go on from the wall clock of whoever takes a lock that was forgotten. A memcached server cannot list its items, so there is no list and no clean.
class SHERLOCK_API MemcachedLock final : public BaseLock {
 public:
  using Client = MemcachedClient;
  static Client connect(std::string_view url) { return Client{url}; }

  // never: until release, as long as the server remembers; a dead one's lock must be freed by hand.
  static constexpr Traits traits{.fences = true, .never = true, .scope = Scope::network};

  // Reaches no server.
  explicit MemcachedLock(std::string name, Options options = {}, Client client = {});
  ~MemcachedLock() override;

 private:
  std::optional<Grant> do_acquire(const Claim& claim) override;
  bool do_release(const Claim& claim) override;
  bool do_renew(const Claim& claim) override;
  bool do_locked(const Claim& claim) const override;
  std::optional<Holder> do_holder(const Claim& claim) const override;
  void do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) override;

  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sherlock
