// SPDX-License-Identifier: MIT
// Locks in a PostgreSQL database. In the library libsherlock-postgres.so: the registry finds it as backend "postgres", or link it and use the class.
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

namespace addons::postgres {
class Server;
}

// Which database, and which table in it. Locks of one URL share connections; no connection is made before the first verb.
class SHERLOCK_API PostgresClient {
 public:
  PostgresClient();  // postgresql://, which leaves everything to libpq: PGHOST, PGDATABASE, ..., the socket of this host
  // What libpq takes: postgresql://[USER[:PASSWORD]@][HOST][:PORT][/DATABASE], with its options (sslmode, passfile, ...) after '?', and '&' between them;
  // and table=[SCHEMA.]NAME, which is public.sherlock_locks if it is not given. ConfigurationException for anything else; it does not show the password.
  PostgresClient(std::string_view url);
  PostgresClient(const char* url) : PostgresClient{std::string_view{url}} {}
  PostgresClient(const std::string& url) : PostgresClient{std::string_view{url}} {}

  // Without options, and with *** for the password.
  std::string text() const;

 private:
  friend class PostgresLock;
  std::shared_ptr<addons::postgres::Server> server_;
};

// A lock that is a row of a table of a PostgreSQL server (version 11 or later), which is made when it is not there. A dead holder's lock is free when its
// lease ends, which the server counts for a ninth longer than the holder does. Locks outlive a crash of the server, as all its data does.
class SHERLOCK_API PostgresLock final : public BaseLock {
 public:
  using Client = PostgresClient;
  static Client connect(std::string_view url) { return Client{url}; }

  // never: until release, whatever becomes of the holder; a dead one's lock must be freed by hand.
  static constexpr Traits traits{.fences = true, .wakes = true, .never = true, .scope = Scope::network};

  // Reaches no server.
  explicit PostgresLock(std::string name, Options options = {}, Client client = {});
  ~PostgresLock() override;

  // The locks that have a row.
  static std::vector<LockInfo> list(const Client& client);
  // Deletes the rows of locks that were released, and of those whose lease ended a week ago. Returns how many.
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
