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

// Which database the rows are in.
struct SHERLOCK_API SqliteClient {
  SqliteClient() = default;  // /tmp/sherlock-<uid>/locks.db, the same for every process of a user whatever its environment
  // "PATH" or "PATH?table=NAME". ConfigurationException for anything else after '?'.
  SqliteClient(std::string_view text);
  SqliteClient(const char* text) : SqliteClient{std::string_view{text}} {}
  SqliteClient(const std::string& text) : SqliteClient{std::string_view{text}} {}

  std::string path{};   // of a database for locks only, made if missing (not its directory); empty is the default one
  std::string table{};  // not empty: the database is yours; this table is made in it, and nothing else there is touched
};

// A lock that is a row of a SQLite database, which sqlite3(1) can read. Excludes between all processes of this host that use the database. A dead
// holder's lock is free at once. Any number of locks may be held; a held lock costs no descriptor.
// Needs a local file system; others are refused. Beside the database PATH lies PATH-sherlock, where waiters are woken: it belongs to the store.
class SHERLOCK_API SqliteLock final : public BaseLock {
 public:
  using Client = SqliteClient;
  static Client connect(std::string_view text) { return Client{text}; }

  static constexpr Traits traits{.sees_death = true,
                                 .fences = true,
                                 .wakes = true,
                                 .fair = true,
                                 .never = true,
                                 .scope = Scope::host,
                                 .default_expire = never};

  // Opens the store: BackendException when it cannot be made, is not safe to use, or is not ours.
  explicit SqliteLock(std::string name, Options options = {}, Client client = {});
  ~SqliteLock() override;

  // The locks of a store that were taken and not forgotten since. A store that does not exist has none.
  static std::vector<LockInfo> list(const Client& client);
  // Forgets the locks that nobody holds or waits for, and that were not abandoned (their next holder is to be told). Safe beside
  // everybody else. Returns how many.
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
