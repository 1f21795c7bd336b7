// SPDX-License-Identifier: MIT
// A store is made to fail in one process only: there are no more descriptors for it, so that it cannot be reached; or no file may grow, so
// that it is full. Some stores need neither, and then may do what they always do.
#include <optional>
#include <string>

#include "conformance/groups.hpp"

namespace sherlock::conformance {
namespace {

constexpr const char* kWants[] = {"descriptors", "room"};

void starve(const std::shared_ptr<Actor>& actor, const std::string& of) { actor->ask({"starve", of}); }

// Asks, and takes a BackendException for an answer as well. Whether it was one.
template <class Ask>
bool fails(const std::string& what, Ask ask) {
  bool failed = false;
  promptly(what, [&] {
    try {
      ask();
    } catch (const BackendException&) {
      failed = true;
    } catch (const LockException& e) {
      throw Broken{what + " throws something that is no BackendException: " + e.what()};
    }
  });
  return failed;
}

}  // namespace

void dead_store_is_told(Stage& stage) {
  for (const std::string want : kWants) {
    const std::string held = stage.name(), free = stage.name(), without = ", without " + want + ",";
    const auto holder = stage.lock(held);
    holder->acquire();
    const auto actor = stage.somebody();
    const auto ask_all = [&](Other& of_held, Other& of_free) {
      fails("a try" + without, [&] {
        require(of_free.try_acquire(), "a try" + without + " says that somebody has a free lock");
        of_free.release();
      });
      fails("a wait" + without, [&] {
        of_free.acquire();
        of_free.release();
      });
      fails("locked()" + without, [&] { require(of_held.locked(), "locked()" + without + " says that a lock is free that is held"); });
      fails("holder()" + without, [&] { require(of_held.holder().has_value(), "holder()" + without + " says that a lock is free that is held"); });
      fails("a try" + without, [&] { require(!of_held.try_acquire(), "a try" + without + " was granted a lock that is held"); });
    };
    const Options options{.timeout = std::chrono::milliseconds{500}};
    Other held_before = stage.other(actor, held, options), free_before = stage.other(actor, free, options);
    starve(actor, want);
    ask_all(held_before, free_before);
    starve(actor, "nothing");

    // Somebody who has never reached the store.
    const auto newcomer = stage.somebody();
    starve(newcomer, want);
    fails("making a lock" + without, [&] {
      Other held_after = stage.other(newcomer, held, options), free_after = stage.other(newcomer, free, options);
      ask_all(held_after, free_after);
    });
  }
}

void failed_is_tried_again(Stage& stage) {
  for (const std::string want : kWants) {
    const auto actor = stage.somebody();
    const std::string name = stage.name(), kept_name = stage.name();
    const Options options{.timeout = std::chrono::milliseconds{500}};
    Other made_before = stage.other(actor, name, options), kept = stage.other(actor, kept_name, options);
    kept.acquire();
    starve(actor, want);
    static_cast<void>(fails("a try", [&] {
      require(made_before.try_acquire(), "a try was refused a free lock");
      made_before.release();
    }));
    static_cast<void>(fails("making a lock", [&] { stage.other(actor, stage.name(), options); }));
    static_cast<void>(fails("renew", [&] { require(kept.renew(), "renew is false though the hold has not ended"); }));
    const bool release_failed = fails("release", [&] {
      if (kept.held()) kept.release();
    });
    if (release_failed) require(kept.held(), "a release that failed ended the hold");
    starve(actor, "nothing");

    if (release_failed) kept.release();
    require(stage.lock(kept_name)->try_acquire(), "a released lock was refused");
    require(made_before.try_acquire(), "an object was refused a free lock after a verb of it had failed");
    require(!stage.lock(name)->try_acquire(), "a lock was granted that somebody else holds");
    made_before.release();
    Other made_after = stage.other(actor, name, options);
    require(made_after.try_acquire(), "a lock was refused after one could not be made");

    // Who could not reach the store at first can do so later, with the same object if there is one.
    const auto newcomer = stage.somebody();
    const std::string new_name = stage.name();
    std::optional<Other> early;
    starve(newcomer, want);
    static_cast<void>(fails("making a lock", [&] {
      if (!early) early.emplace(stage.other(newcomer, new_name, options));
      if (early->try_acquire()) early->release();
    }));
    starve(newcomer, "nothing");
    if (!early) early.emplace(stage.other(newcomer, new_name, options));
    try {
      require(early->try_acquire(), "a free lock was refused to somebody who could not reach the store at first");
    } catch (const LockException& e) {
      throw Broken{std::string{"who could not reach the store at first cannot do so later: "} + e.what()};
    }
  }
}

}  // namespace sherlock::conformance
