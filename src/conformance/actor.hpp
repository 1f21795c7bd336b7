// SPDX-License-Identifier: MIT
// Somebody else: a process of its own that makes locks and uses them as it is told, or, for a backend that excludes within one process only,
// a thread of the judge that does the same.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <sherlock/conformance.hpp>
#include <sherlock/holder.hpp>
#include <sherlock/options.hpp>

#include "conformance/channel.hpp"
#include "conformance/process.hpp"

namespace sherlock::conformance {

class Actor {
 public:
  // An answer that takes longer breaks the clause: no verb does, and no clause asks for a longer wait.
  static constexpr std::chrono::seconds kPatience{12};

  static std::shared_ptr<Actor> process(const Subject& subject);
  static std::shared_ptr<Actor> thread(const Subject& subject);
  ~Actor();

  // Throws what the verb threw over there.
  Message ask(const Message& question, std::chrono::nanoseconds patience = kPatience);
  // The two halves of ask().
  void tell(const Message& question);
  Message hear(std::chrono::nanoseconds patience = kPatience);
  bool answered_within(std::chrono::nanoseconds patience) const { return channel_->wait_for(patience); }

  pid_t pid() const { return pid_; }

  // Of processes only.
  void kill();
  void stop();
  void go_on();
  // Its child, which has the parent's lock objects. Once for each process.
  std::shared_ptr<Actor> fork();
  // It becomes another program in the same process, without lock objects.
  void exec();
  // It destroys its objects, and ends as programs do. Returns when it is gone.
  void end();

 private:
  explicit Actor(const Subject& subject) : subject_{subject} {}
  void introduce();

  const Subject& subject_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<Channel> own_;  // of a thread, or of a forked child
  std::thread thread_;
  Channel* channel_ = nullptr;
  pid_t pid_ = -1;
  std::string asked_;
};

// A lock object of somebody else's. The verbs throw what they throw over there.
class Other {
 public:
  Other(std::shared_ptr<Actor> actor, const std::string& name, const Options& options);
  // The object of the same number in a forked child.
  Other(std::shared_ptr<Actor> child, const Other& parents) : actor_{std::move(child)}, id_{parents.id_} {}

  void acquire() { ask("acquire"); }
  bool try_acquire() { return ask("try_acquire") == "true"; }
  bool try_acquire_for(Duration timeout);
  void release() { ask("release"); }
  void unlock() { ask("unlock"); }
  bool renew() { return ask("renew") == "true"; }
  bool locked() { return ask("locked") == "true"; }
  bool held() { return ask("held") == "true"; }
  std::uint64_t fence() { return std::stoull(ask("fence")); }
  bool abandoned() { return ask("abandoned") == "true"; }
  std::optional<Holder> holder();
  void destroy() { ask("destroy"); }

  // A verb that takes its time: started, and later asked for. Throws what it threw.
  void start(const std::string& verb) { actor_->tell({verb, id_}); }
  bool finish() { return actor_->hear().at(0) == "true"; }

  Actor& actor() const { return *actor_; }
  const std::shared_ptr<Actor>& shared_actor() const { return actor_; }
  const std::string& id() const { return id_; }

 private:
  std::string ask(const std::string& verb) { return actor_->ask({verb, id_}).at(0); }

  std::shared_ptr<Actor> actor_;
  std::string id_;
};

}  // namespace sherlock::conformance
