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
  std::function<std::unique_ptr<Contender>()> make;
};

// What every user of the library pays: the lock behind its proxy, with fence and the holder's facts.
Kind sherlock(const stress::Store& store, std::string name, sherlock::Options options = {});

// What the backend is built on, bare: the first one is what ratios are taken of. Each name is another lock.
enum class For { cost, waiting };
std::vector<Kind> anchors(const stress::Store& store, For what, const std::string& name);

}  // namespace bench
