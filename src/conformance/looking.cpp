// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <optional>
#include <string>

#include "conformance/groups.hpp"

namespace sherlock::conformance {

using namespace std::chrono_literals;

void locked_tells(Stage& stage) {
  const std::string name = stage.name();
  const auto here = stage.lock(name), twin = stage.lock(name);
  Other there = stage.other(name);
  const auto all_say = [&](bool locked, const std::string& otherwise) {
    require(here->locked() == locked && twin->locked() == locked && there.locked() == locked, otherwise);
  };
  all_say(false, "locked() is true of a lock that nobody ever had");
  for (int round = 0; round < 3; ++round) {
    here->acquire();
    all_say(true, "locked() is false of a lock that is held");
    here->release();
    all_say(false, "locked() is true of a lock that was released");
    there.acquire();
    all_say(true, "locked() is false of a lock that is held");
    there.release();
    all_say(false, "locked() is true of a lock that was released");
  }
  const Duration length = stage.subject().lease;
  const auto leased = stage.lock(name, {.expire = length});
  Lease{*leased, length}.wait_for_end();
  // A server keeps a lease for longer than its holder believes in it, so that the holder is the first to know. Where the server counts no time, somebody who looks for
  // the first time must see the lock unchanged for that long before it is free.
  const auto looks_free = [&] {
    const bool here_says = here->locked(), twin_says = twin->locked(), there_says = there.locked();
    return !here_says && !twin_says && !there_says;
  };
  if (stage.traits().scope == Scope::network) {
    nap(length.ns() / 4);
    if (!looks_free()) nap(length.ns() + length.ns() / 4);
  }
  all_say(false, "locked() is true of a lock whose lease has ended");

  // Somebody looks all the time, and nobody else wants the lock.
  const std::string watched = stage.name();
  Other looker = stage.other(watched), second = stage.other(watched);
  const auto mine = stage.lock(watched);
  constexpr int kRounds = 3;  // a machine that stops somebody in the middle of a look gets into one round, and not into all
  bool refused = true;
  for (int round = 0; round < kRounds && refused; ++round) {
    refused = false;
    for (Other* one : {&looker, &second}) one->actor().tell({"look", one->id(), std::to_string(std::chrono::nanoseconds{300ms}.count())});
    for (const Timer timer; timer.elapsed() < 250ms;) {
      bool granted = false;
      try {
        granted = mine->try_acquire();
      } catch (const BackendException&) {  // as good as refused
      }
      if (granted)
        mine->release();
      else
        refused = true;
    }
    looker.actor().hear();
    second.actor().hear();
  }
  require(!refused, "a try was refused a free lock because somebody looked at it");
}

void holder_is_named(Stage& stage) {
  const std::string name = stage.name();
  std::string any(256, '\0');
  for (std::size_t i = 0; i < any.size(); ++i) any[i] = static_cast<char>(i);
  const auto here = stage.lock(name, {.label = "first of two"}), twin = stage.lock(name, {.label = any});
  Other there = stage.other(name, {.label = "somebody else"});
  const auto names = [&](std::optional<Holder> holder, const std::string& label, pid_t pid) {
    require(holder.has_value(), "holder() is empty though the lock is held");
    require(holder->label == label, "holder() shows the label '" + holder->label.substr(0, 40) + "' of a holder whose label is '" + label.substr(0, 40) + "'");
    require(!holder->pid || stage.traits().scope == Scope::network || *holder->pid == pid,
            "holder() shows the pid " + std::to_string(holder->pid.value_or(0)) + " of a holder whose pid is " + std::to_string(pid));
  };
  require(!here->holder(), "holder() names somebody of a lock that nobody ever had");
  for (int round = 0; round < 2; ++round) {
    here->acquire();
    names(there.holder(), "first of two", getpid());
    names(here->holder(), "first of two", getpid());
    here->release();
    require(!there.holder() && !here->holder(), "holder() names somebody of a lock that was released");
    there.acquire();
    names(here->holder(), "somebody else", there.actor().pid());
    there.release();
    twin->acquire();
    names(there.holder(), any, getpid());
    twin->release();
  }
}

}  // namespace sherlock::conformance
