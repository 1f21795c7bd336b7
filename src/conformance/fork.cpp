// SPDX-License-Identifier: MIT
#include <string>

#include "conformance/groups.hpp"

namespace sherlock::conformance {
namespace {

Options long_enough(const Stage& stage) {
  // As long as one waits for it here, if only its end frees the lock.
  if (!stage.traits().sees_death) return {.expire = stage.subject().lease};
  return {};
}

void comes_free(Stage& stage, const std::string& name, const std::string& otherwise) {
  const auto here = stage.lock(name);
  try {
    promptly(
        "waiting for a lock whose holder is gone",
        [&] {
          here->acquire();
          here->release();
        },
        kPrompt + (stage.traits().sees_death ? std::chrono::nanoseconds{} : stage.subject().lease.ns()));
  } catch (const LockTimeoutException&) {
    throw Broken{otherwise};
  }
}

void parent_keeps(Stage& stage, Other& parent, const std::string& name, const std::string& after) {
  require(parent.held() && parent.renew(), "a hold ended when a forked child " + after);
  const auto here = stage.lock(name);
  require(here->locked() && !here->try_acquire(), "a lock came free when a forked child of its holder " + after);
}

}  // namespace

void child_does_not_own(Stage& stage) {
  const std::string name = stage.name();
  Other parent = stage.other(name);
  parent.acquire();
  Other child{parent.actor().fork(), parent};
  require(!child.held(), "held() is true in a forked child");
  require_throw<LockNotHeldException>("fence in a forked child", kNotHeld, [&] { child.fence(); });
  require_throw<LockNotHeldException>("renew in a forked child", kNotHeld, [&] { child.renew(); });
  require_throw<LockNotHeldException>("release in a forked child", kNotHeld, [&] { child.release(); });
  child.unlock();
  parent_keeps(stage, parent, name, "released it");
  require(!child.try_acquire(), "a forked child was granted its parent's lock");
  require(!child.try_acquire_for(std::chrono::milliseconds{50}), "a forked child was granted its parent's lock");
  parent_keeps(stage, parent, name, "tried to acquire it");

  // The child is a process like any other.
  parent.release();
  child.acquire();
  require(!parent.try_acquire() && child.held(), "parent and child were granted one lock");
  child.release();
  require(parent.try_acquire(), "a lock that a forked child released was refused to its parent");
}

void child_leaves_it_alone(Stage& stage) {
  const std::string name = stage.name();
  Other parent = stage.other(name);
  parent.acquire();
  Other child{parent.actor().fork(), parent};
  child.destroy();
  parent_keeps(stage, parent, name, "destroyed its copy of the object");
  child.actor().end();
  parent_keeps(stage, parent, name, "ended");
  parent.release();

  Other another = stage.other(name);
  another.acquire();
  another.actor().fork()->end();
  parent_keeps(stage, another, name, "ended");
}

void parents_death_frees(Stage& stage) {
  const std::string name = stage.name();
  Other parent = stage.other(name, long_enough(stage));
  parent.acquire();
  Other child{parent.actor().fork(), parent};
  static_cast<void>(child.held());  // it runs, and has done what a child does at first
  parent.actor().kill();
  comes_free(stage, name, "a dead holder's lock stayed held while a child of it lives");
  require(!child.locked(), "a forked child says that a free lock is held");
  child.acquire();
  child.unlock();  // its lease may be over by now
}

void no_leak_through_exec(Stage& stage) {
  const std::string name = stage.name();
  Other there = stage.other(name, long_enough(stage));
  there.acquire();
  there.actor().exec();
  comes_free(stage, name, "a lock stayed held by the program that its holder became");
  // The new program is still there: a lock of its own is no mistake.
  Other anew = stage.other(there.shared_actor(), name);
  anew.acquire();
  anew.release();
}

}  // namespace sherlock::conformance
