// SPDX-License-Identifier: MIT
// What an Actor is on the other side: lock objects, and a loop that does with them what it is told. The locks are made here, so
// that what happens to this process happens to their holder.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include <sherlock/base_lock.hpp>
#include <sherlock/conformance.hpp>
#include <sherlock/registry.hpp>

#include "conformance/channel.hpp"

namespace sherlock::conformance {

class Peer {
 public:
  Peer(Subject subject, Channel channel, Channel spare) : subject_{std::move(subject)}, channel_{std::move(channel)}, spare_{std::move(spare)} {}

  // Until the judge is gone, or says that it is enough.
  void play();

 private:
  Message answer(const Message& question);
  Message verb(const std::string& word, BaseLock& lock, const Message& question);
  void make(const Message& question);
  Message fork();
  void compete(const Message& question);
  Message take_turns(BaseLock& lock, std::chrono::nanoseconds time);
  Message look(BaseLock& lock, std::chrono::nanoseconds time);

  const Subject subject_;
  Channel channel_, spare_;
  std::map<std::string, std::unique_ptr<BaseLock>> locks_;
  bool over_ = false;
};

// Throws what Registry::load() throws.
void load_plugins(const Subject& subject);

// A lock of the subject's.
std::unique_ptr<BaseLock> make_lock(const Subject& subject, const std::string& name, const Options& options);

}  // namespace sherlock::conformance
