// SPDX-License-Identifier: MIT
// Locks on a Redis server. In the library libsherlock-redis.so: the registry finds it as backend "redis", or link it and use the class.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sherlock/base_lock.hpp>
#include <sherlock/export.hpp>

namespace sherlock {

namespace addons::redis {
class Server;
}

// Which server. Locks of one URL share connections; no connection is made before the first verb.
class SHERLOCK_API RedisClient {
 public:
  RedisClient();  // redis://localhost:6379
  // redis://[USER[:PASSWORD]@]HOST[:PORT][/DB] or redis+unix://[USER[:PASSWORD]@]/PATH[?db=DB]; options, after '?' and with '&' between them:
  // password_file=PATH, keys=python. ConfigurationException for anything else; it does not show the password.
  RedisClient(std::string_view url);
  RedisClient(const char* url) : RedisClient{std::string_view{url}} {}
  RedisClient(const std::string& url) : RedisClient{std::string_view{url}} {}

  // With *** for the password.
  std::string text() const;

 private:
  friend class RedisLock;
  std::shared_ptr<addons::redis::Server> server_;
};

// A lock that is a key of a Redis server (version 5 or later, one server or a primary). A dead holder's lock is free when its lease ends, which the server
// counts for a ninth longer than the holder does. What the server forgets (a restart without persistence, a failover, FLUSHALL, eviction) is lost, and
// reported as lost by the next verb.
class SHERLOCK_API RedisLock final : public BaseLock {
 public:
  using Client = RedisClient;
  static Client connect(std::string_view url) { return Client{url}; }

  // never: until release, whatever becomes of the holder; a dead one's lock must be freed by hand.
  static constexpr Traits traits{.fences = true, .wakes = true, .never = true, .scope = Scope::network};

  // Reaches no server.
  explicit RedisLock(std::string name, Options options = {}, Client client = {});
  ~RedisLock() override;

  // The locks that were taken in the last week or so, by a walk over all keys of the database.
  static std::vector<LockInfo> list(const Client& client);
  // Forgets the locks that nobody holds and that were released. Returns how many.
  static std::size_t clean(const Client& client);

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
