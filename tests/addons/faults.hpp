// SPDX-License-Identifier: MIT
// Faults against an add-on, at random: a holder that reaches the server through a fault proxy, a rival that reaches it directly, and in between connections
// that end, requests and replies that are lost, late or swallowed, a server that stands still or dies, and processes that are stopped.
//
// Both processes acquire the same lock with a lease, keep it with a Keeper, let it go, and again. Counted against the add-on are
//   overlaps  both processes saw held() at one instant
//   untold    one was granted the lock before the other, whose hold that ended, was told; or was never told
//   fences    a later grant had no larger fence
//   hangs     a verb took longer than its timeout and the time that its store may take to answer
// Not counted: what follows from a server that forgot what it had granted, what was told late by a process that had not been running at that time,
// and the time in which the whole machine stood still.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <sherlock/base_lock.hpp>

#include "addons/support/proxy.hpp"

namespace support {

struct FaultSubject {
  std::string name;
  // A lock of that client; the text is `direct`, or what `through` made of the proxy's port.
  std::function<std::unique_ptr<sherlock::BaseLock>(const std::string& client, std::string name, sherlock::Options)> make_lock;
  std::string direct;
  std::function<std::string(int port)> through;
  Proxy::Server server;
  // The server: stands still, goes on, dies, is there again.
  std::function<void()> stop, resume, kill, restart;
  bool forgets = true;  // whether it knows nothing of its locks when it is there again
};

struct FaultPlan {
  std::uint64_t seed = 1;
  int faults = 12;
  std::chrono::milliseconds lease{1000};
  std::chrono::milliseconds slack{3000};  // what a verb may take on top, because the machine has other things to do
  bool verbose = false;                   // each fault is printed
};

struct FaultFigures {
  int faults = 0, acquisitions = 0, overlaps = 0, untold = 0, fences = 0, hangs = 0;
  int forgotten = 0, late = 0;  // what was not counted: after the server forgot; by a process that had not been running
  int losses = 0, errors = 0;   // holds that ended otherwise than by release; verbs that threw BackendException
  std::chrono::milliseconds took{};

  bool good() const { return acquisitions > 0 && overlaps + untold + fences + hangs == 0; }
  std::string line(const FaultSubject& subject, const FaultPlan& plan) const;
};

FaultFigures play_faults(const FaultSubject& subject, const FaultPlan& plan);

// One fault at every place: acquire, renew and release once for each request that they make of the server, whose reply is lost (or which is lost itself).
// What must hold is that a verb either answers or throws BackendException, that nobody else gets the lock while it is held, and that the lock is free in
// the end: at once where no verb threw, else when the lease is over.
struct LostMessages {
  int places = 0, wrong = 0;
  std::string what{};  // went wrong first
};
LostMessages lose_each_message(const FaultSubject& subject, std::chrono::milliseconds lease);

// A program of both: [--faults N] [--seed N] [--lease MS] [--verbose]. Prints a line each; 0 if all is good.
int faults_main(int argc, char** argv, const FaultSubject& subject);

}  // namespace support
