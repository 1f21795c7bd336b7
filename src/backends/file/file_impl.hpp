// SPDX-License-Identifier: MIT
// What a FileLock is behind its face. A grant needs two things, in this order: the key's gate word in the companion, and flock(2) on the file.
// Order, fairness and waking live in the gate; flock keeps out everybody who knows nothing of it. The steps and why they stand
// in this order: docs/backends/file.md.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <sherlock/file_lock.hpp>

#include "backends/file/file_store.hpp"
#include "backends/file/foreign.hpp"
#include "backends/file/lock_file.hpp"
#include "local/look_timer.hpp"
#include "local/parking.hpp"
#include "local/table.hpp"

namespace sherlock {

class __attribute__((visibility("hidden"))) FileLock::Impl {
 public:
  Impl(const std::string& key, FileClient client);

  // The process that made it. Its mutexes may be locked for ever in a forked child.
  std::uint64_t process() const { return process_; }
  const FileClient& client() const { return client_; }

  std::optional<Grant> acquire(const Claim& claim);
  void wait(const Claim& claim, std::chrono::nanoseconds until, std::stop_token stop);
  bool release(const Claim& claim);
  bool renew(const Claim& claim);
  bool locked(const Claim& claim) const;
  std::optional<Holder> holder(const Claim& claim) const;
  std::vector<int> inheritable() const;

  std::string path() const { return file::FileStore::directory_of(client_) + "/" + file_name_; }

 private:
  // The store and the entry that the key has there. Never changes; another one takes its place when the store was replaced or the
  // entry was given to another key.
  struct Binding {
    std::shared_ptr<file::FileStore> store;
    local::Found found;
    local::Entry& entry() const { return *found.entry; }
    const local::Presence& presence() const { return store->companion().presence(); }
  };
  enum class Outcome { granted, refused, moved };  // moved: the entry is another key's by now

  // One call of acquire().
  struct Try {
    const Claim& claim;
    const Binding* at = nullptr;
    bool look = false;  // at the path, not at the descriptor only
    Grant grant{};
    bool waits() const { return claim.attempt == Attempt::waiting || claim.attempt == Attempt::last; }
    bool lease() const { return !claim.expire.is_infinite(); }
  };

  const Binding& binding(const Claim& claim);
  const Binding& rebind(const Claim& claim);

  Outcome try_gate(Try& t);
  Outcome enter(Try& t, std::uint64_t mine, local::Taking from);
  enum class Locked { exclusively, shared, refused, gone };  // gone: the directory or the companion is
  Locked lock_file(Try& t, std::uint64_t mine, local::Taking from);
  Outcome move_on(Try& t, std::uint64_t mine);
  bool file_is_right(Try& t);
  void record(Try& t, std::uint64_t mine);
  bool foreigner_gone(const Binding& b) const;
  bool still_there(const Binding& b);
  void give_up_place();

  const std::uint64_t process_;
  const FileClient client_;
  const std::string file_name_;
  const local::KeyHash hash_;

  mutable std::mutex binding_mutex_;
  std::vector<std::unique_ptr<const Binding>> bindings_;
  std::atomic<const Binding*> binding_{nullptr};

  // With leases the gate may be taken from us while we hold: then two threads of one object could be at the file at once.
  std::mutex lease_mutex_;

  // Of whoever has the gate for this object.
  file::LockFile file_;
  local::LookTimer store_look_, file_look_;
  std::atomic<std::uint64_t> held_fence_{0};  // 0: nothing held. Whoever sets it to 0 is the one who releases
  std::atomic<std::uint64_t> held_word_{0};  // atomic, as are these: renew() of one thread may look while another is granted
  std::atomic<std::uint64_t> held_expiry_{0};  // as in the entry
  std::atomic<const Binding*> held_at_{nullptr};

  // Of the one thread that waits.
  local::Waiter waiter_;
  const Binding* waits_at_ = nullptr;
  std::uint64_t foreign_word_ = 0;  // our gate word while we wait for a foreigner; 0: we do not
  file::ForeignWatch foreign_;
};

}  // namespace sherlock
