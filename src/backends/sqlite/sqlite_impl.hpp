// SPDX-License-Identifier: MIT
// What a SqliteLock is behind its face. The row decides; the key's entry in the companion is there for those who wait, and only while somebody does. Both change
// inside the gate. The steps and why they stand in this order: docs/backends/sqlite.md.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <sherlock/sqlite_lock.hpp>

#include "backends/sqlite/rows.hpp"
#include "backends/sqlite/sqlite_store.hpp"
#include "local/parking.hpp"
#include "local/table.hpp"

namespace sherlock {

class __attribute__((visibility("hidden"))) SqliteLock::Impl {
 public:
  // The store is to be open by `answer_by`.
  Impl(const std::string& key, SqliteClient client, std::chrono::nanoseconds answer_by);

  // The process that made it: a forked child inherits its copy.
  std::uint64_t process() const { return process_; }
  const SqliteClient& client() const { return client_; }

  std::optional<Grant> acquire(const Claim& claim);
  void wait(const Claim& claim, std::chrono::nanoseconds until, std::stop_token stop);
  bool release(const Claim& claim);
  bool renew(const Claim& claim);
  bool locked(const Claim& claim) const;
  std::optional<Holder> holder(const Claim& claim) const;
  std::vector<int> inheritable() const;

 private:
  using Store = std::shared_ptr<sqlite::SqliteStore>;

  Store store() const;
  Store reopen(const Claim& claim) const;
  template <class Work>
  static void section(const Claim& claim, sqlite::SqliteStore& store, Work work) {
    store.section([&] { return claim.answer_by(); }, work);
  }
  bool let_go_of_row(const Claim& claim, sqlite::SqliteStore& store);
  // Who is to be woken when the gate is left.
  struct ToWake {
    local::Entry* entry = nullptr;
    local::Sleeper sleeper = local::Sleeper::none;
  };
  std::optional<Grant> try_row(const Claim& claim, sqlite::SqliteStore& store, sqlite::Rows& rows, ToWake& next);
  local::Found entry(sqlite::SqliteStore& store) const;
  void show_holder(const Claim& claim, sqlite::SqliteStore& store, const sqlite::Row& row);
  ToWake show_grant(const Claim& claim, sqlite::SqliteStore& store, const local::Found& found, const Grant& grant);
  void give_up_place();

  const std::uint64_t process_;
  const SqliteClient client_;
  const sqlite::RowKey row_;

  mutable std::mutex store_mutex_;
  mutable Store store_;
  std::atomic<sqlite::SqliteStore*> held_at_{nullptr};  // of the present or last hold; stores are never closed
  std::uint64_t fence_ = 0;  // of the row when it was last seen. 0: never, so that it may have to be made

  // Of the one thread that waits.
  local::Waiter waiter_;
  Store waits_at_;
  local::Found waits_for_;
};

}  // namespace sherlock
