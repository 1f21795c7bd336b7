// SPDX-License-Identifier: MIT
// The stores of one kind that this process has open, each once, whoever asks. Never closed: locks of static duration may outlive everything
// else, and holds may still point into a store that was replaced. A forked child begins anew: its parent's are the parent's.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "posix/process.hpp"

namespace sherlock::local {

// `Key` is what the store was asked for by; current(store) says whether it is what a process that comes now would find.
template <class Key, class Store>
class OpenStores {
 public:
  // The one that is open and current, else what `open()` makes: null where there is none and none was to be made.
  template <class Open>
  static std::shared_ptr<Store> find_or_open(const Key& key, Open open) {
    return find_or_open(key, open, [](Store& store) { return store.current(); });
  }
  template <class Open, class Current>
  static std::shared_ptr<Store> find_or_open(const Key& key, Open open, Current current) {
    OpenStores& all = here();
    const std::lock_guard guard{all.mutex_};
    auto& known = all.open_[key];
    if (known && current(*known)) return known;
    std::shared_ptr<Store> fresh = open();
    if (!fresh) return nullptr;
    if (known) all.replaced_.push_back(std::move(known));
    return known = std::move(fresh);
  }

 private:
  static OpenStores& here() {
    static std::atomic<OpenStores*> present{nullptr};
    OpenStores* found = present.load(std::memory_order_acquire);
    while (!found || found->process_ != posix::process_token()) {
      auto* fresh = new OpenStores;
      if (present.compare_exchange_strong(found, fresh)) {
        if (found) posix::leave_to_parent(found);  // its mutex may be locked for ever
        return *fresh;
      }
      delete fresh;
    }
    return *found;
  }

  const std::uint64_t process_ = posix::process_token();
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<Store>> open_;
  std::vector<std::shared_ptr<Store>> replaced_;
};

}  // namespace sherlock::local
