// SPDX-License-Identifier: MIT
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "conformance/arena.hpp"
#include "conformance/crew.hpp"
#include "conformance/groups.hpp"
#include "conformance/messages.hpp"
#include "conformance/neighbour.hpp"

namespace sherlock::conformance {
namespace {

constexpr std::chrono::milliseconds kMelee{700};

// Two holders at a time also see their holds end. What happened in the arena comes first, for it says more.
template <class Body>
void meet(const Arena& arena, Body body) {
  std::exception_ptr thrown;
  try {
    body();
  } catch (const std::exception&) {
    thrown = std::current_exception();
  }
  require(arena.overlaps() == 0, "there were two holders at a time, " + std::to_string(arena.overlaps()) + " times of " +
                                     std::to_string(arena.visits()));
  require(arena.lost_counts() == 0, "what was counted under the lock came out wrong");
  if (thrown) std::rethrow_exception(thrown);
  require(arena.visits() > 0, "nobody was granted the lock");
}

}  // namespace

void one_of_two_claims(Stage& stage) {
  const std::string name = stage.name();
  const auto here = stage.lock(name), twin = stage.lock(name);
  Other there = stage.other(name), elsewhere = stage.other(name);

  require(here->try_acquire(), "a free lock was refused");
  require(!there.try_acquire(), "somebody else was granted a lock that is held");
  require(!twin->try_acquire(), "another object of the process was granted a lock that is held");
  require(!here->try_acquire(), "an object was granted the lock that it holds already");
  here->release();
  require(there.try_acquire(), "a released lock was refused to somebody else");
  require(!here->try_acquire(), "a lock was granted that somebody else holds");
  there.release();

  for (int round = 0; round < 50; ++round) {
    there.start("try_acquire");
    elsewhere.start("try_acquire");
    const bool first = there.finish(), second = elsewhere.finish();
    require(first != second, first ? "two who tried at a time were both granted the lock" : "two who tried a free lock were both refused");
    (first ? there : elsewhere).release();
  }
}

void many_never_overlap(Stage& stage) {
  Arena arena;
  const std::string name = stage.name();
  std::vector<std::shared_ptr<Actor>> all;
  for (int i = 0; i < 3; ++i) all.push_back(stage.somebody());
  Message question{"compete", arena.path(), std::to_string(std::chrono::nanoseconds{kMelee}.count()), "2", name};
  for (std::string& word : words_of(stage.filled({}))) question.push_back(std::move(word));
  for (const auto& one : all) one->tell(question);
  meet(arena, [&] {
    for (const auto& one : all) one->hear();
  });
}

void sharing_threads_exclude(Stage& stage) {
  Arena arena;
  const auto shared = stage.lock(stage.name());
  meet(arena, [&] {
    crew(4, [&](int i) {
      for (const Timer timer; timer.elapsed() < kMelee;) {
        if (i % 2 == 0)
          shared->acquire();
        else if (!shared->try_acquire())
          continue;
        arena.visit();
        shared->release();
      }
    });
  });
}

void names_do_not_disturb(Stage& stage) {
  const std::string name = stage.name();
  const auto held = stage.lock(name);
  held->acquire();

  const Options elsewhere{.ns = stage.ns() + "-2"};
  const auto other_name = stage.lock(stage.name()), other_ns = stage.lock(name, elsewhere);
  Other their_name = stage.other(stage.name());
  Other their_ns = stage.other(their_name.shared_actor(), name, {.ns = stage.ns() + "-3"});
  require(other_name->try_acquire() && their_name.try_acquire(), "a free lock was refused while one of another name is held");
  require(other_ns->try_acquire() && their_ns.try_acquire(), "a free lock was refused while one of another namespace is held");

  other_name->release();
  other_ns->release();
  their_name.release();
  their_ns.release();
  require(held->locked() && !stage.lock(name)->try_acquire(), "the release of a lock freed one of another name or namespace");
  require(held->renew(), "a hold ended when locks of other names were released");

  std::vector<std::unique_ptr<BaseLock>> many;
  for (int i = 0; i < 40; ++i) {
    many.push_back(stage.lock(stage.name()));
    require(many.back()->try_acquire(), "a process that holds " + std::to_string(i + 1) + " locks was refused another free one");
  }
}

void two_backends_at_once(Stage& stage) {
  const std::string name = stage.name();
  const auto place = std::make_shared<Neighbour::Place>();
  // Nobody looks by himself: what keeps one backend from letting go keeps both from going on.
  const Options options{.timeout = kFarOff, .retry_interval = stage.traits().wakes ? Duration{std::chrono::hours{1}} : Duration{std::chrono::milliseconds{20}}};
  Arena arena;
  meet(arena, [&] {
    crew(2, [&](int i) {
      const auto ours = stage.lock(name, options);
      Neighbour theirs{place};
      for (const Timer timer; timer.elapsed() < kMelee / 2;) {
        if (i == 0) {
          const std::scoped_lock both{*ours, theirs};
          arena.visit();
        } else {
          const std::scoped_lock both{theirs, *ours};
          arena.visit();
        }
      }
    });
  });

  const auto ours = stage.lock(name, options), ours_too = stage.lock(name, options);
  Neighbour theirs{place}, theirs_too{place};
  for (int round = 0; round < 3; ++round) {
    promptly("waiting for a lock on each of two backends, which somebody had both,", [&] {
      std::unique_lock mine{*ours};
      std::unique_lock also_mine{theirs};
      side_by_side(
          [&] {
            nap(std::chrono::milliseconds{40});
            mine.unlock();
            also_mine.unlock();
          },
          [&] { const std::scoped_lock both{*ours_too, theirs_too}; });
    });
  }

  theirs.acquire();
  require(std::try_lock(*ours, theirs_too) == 1, "of two locks on two backends the free one was not granted");
  require(!ours->locked(), "a lock that was given back at once stayed held");
}

}  // namespace sherlock::conformance
