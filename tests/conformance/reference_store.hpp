// SPDX-License-Identifier: MIT
// A store that is slow and simple: one file, mapped by every process, and one big lock around all that is done with it. It is here to be
// broken on purpose, so that every clause of the conformance suite is seen to fail.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include <sherlock/claim.hpp>

namespace reference {

// Of a process that uses the store. Alive for as long as the kernel keeps its lock on a byte of the file.
struct Member {
  std::uint32_t slot = 0, generation = 0;
  std::int32_t pid = 0;
};

struct Waiter {
  sherlock::Owner who;
  Member member;
};

struct Entry {
  std::uint64_t key;  // 0: nobody's yet
  bool held, abandoned;
  sherlock::Owner owner;
  Member holder;
  std::int64_t ends, length;  // of the lease, in nanoseconds
  std::uint64_t fence;
  std::uint32_t label_size;
  char label[256];
  std::uint32_t waiting;
  Waiter queue[16];  // who came first stands first
};

class Store {
 public:
  // How a member shows that it is alive. The two wrong ways outlive it: in its children, in the program that it becomes.
  enum class Presence { right, inherited_by_children, kept_by_exec };

  // One for each directory and process, never closed: closing would drop the process's locks.
  static Store& at(const std::string& directory, Presence presence);

  // While it lives, nobody else is in the store.
  class Inside {
   public:
    explicit Inside(Store& store);
    ~Inside();

   private:
    std::lock_guard<std::mutex> threads_;
    Store& store_;
  };

  // For who is inside.
  Entry& entry(const std::string& key);
  const Member& me() const { return me_; }
  bool alive(const Member& member) const;

 private:
  Store(const std::string& directory, Presence presence);
  void join(Presence presence);

  struct Content;
  std::mutex mutex_;
  int fd_ = -1;
  Content* content_ = nullptr;
  Member me_;
};

}  // namespace reference
