// SPDX-License-Identifier: MIT
// Something that excludes: what is measured, and what it is measured against.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stress/store.hpp"

namespace bench {

class Contender {
 public:
  virtual ~Contender() = default;
  virtual void lock() = 0;
  virtual void unlock() = 0;
  // So many pairs, without a virtual call between them.
  virtual void pairs(long n) = 0;
};

// Of anything that std::lock_guard takes.
template <class Lock>
class Of final : public Contender {
 public:
  template <class... Arguments>
  explicit Of(Arguments&&... arguments) : lock_{std::forward<Arguments>(arguments)...} {}
  void lock() override { lock_.lock(); }
  void unlock() override { lock_.unlock(); }
  void pairs(long n) override {
    for (; n > 0; --n) {
      lock_.lock();
      lock_.unlock();
    }
  }

 private:
  Lock lock_;
};

// How a process comes by its own, on one name that all processes share.
struct Kind {
  std::string name;
  std::function<std::unique_ptr<Contender>()> make;  // none: it is another language's, see python.hpp
  std::string python{};
  bool dies_held = false;  // nobody ever gets it after the death of its holder
};

// What every user of the library pays: the lock behind its proxy, with fence and the holder's facts. "sherlock file", or "sherlock file, leased".
Kind sherlock(const stress::Store& store, std::string name, sherlock::Options options = {});

// What a user would pick instead, or build it upon. Each path is another lock.
enum class Peer {
  cas,        // a word that is spun upon: the floor of what excludes
  futex,      // the least that processes can sleep on
  robust,     // pthread's robust process-shared mutex: what comes free when its holder dies, of what the system gives
  boost,      // Boost.Interprocess, named_mutex
  flock,      // flock(2) on a descriptor that is kept: the least that locks a file
  ofd,        // an open file description lock, likewise
  boost_file, // Boost.Interprocess, file_lock
  rows,       // the statements that the sqlite backend makes, bare, prepared, with the same pragmas
  begin,      // BEGIN IMMEDIATE and COMMIT of SQLite, waiting with busy_timeout
};
Kind peer(Peer which, const std::string& path);
std::vector<Kind> peers(const std::vector<Peer>& which, const std::string& path);

}  // namespace bench
