// SPDX-License-Identifier: MIT
// What the locks of every add-on do when their server stands still, forgets or is not there: nobody believes for too long, and nothing waits for too long.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <initializer_list>
#include <string>
#include <thread>

#include <sherlock/base_lock.hpp>

#include "addons/support/blackhole.hpp"
#include "addons/support/answered.hpp"
#include "addons/support/failure_of.hpp"
#include "addons/support/is_once.hpp"
#include "addons/support/server.hpp"
#include "catch.hpp"
#include "support/says.hpp"

namespace support {

template <class Lock, class Server>
void holder_knows_before_anybody_is_let_in(Server& server) {
  using namespace std::chrono_literals;
  std::atomic<int> told{0};
  Lock holder{"x", {.expire = 3s, .on_lost = [&](const sherlock::LockException&) { ++told; }}, server.url()};
  Lock next{"x", {.timeout = 20s}, server.url()};
  holder.acquire();
  const auto fence = holder.fence();
  server.stop();
  const auto before = std::chrono::steady_clock::now();
  CHECK(failure_of([&] { static_cast<void>(holder.renew()); }).code() == sherlock::Errc::busy);
  CHECK(std::chrono::steady_clock::now() - before < 8s);  // its patience is 10 s: it gave up with the lease
  CHECK_FALSE(holder.held());
  server.resume();
  next.acquire();
  CHECK_FALSE(holder.held());
  CHECK_FALSE(holder.renew());
  CHECK(told == 1);
  CHECK(next.fence() > fence);
  CHECK(next.held());
}

// `shown`: what the text of each exception names the server by.
template <class Lock, class Server>
void every_verb_throws_in_its_time(Server& server, const std::string& shown) {
  using namespace std::chrono_literals;
  Lock held{"held", {.timeout = 100ms}, server.url()}, other{"other", {.timeout = 100ms}, server.url()};
  answered([&] { held.acquire(); });
  server.stop();
  for (const auto& ask : std::initializer_list<std::function<void()>>{
           [&] { static_cast<void>(other.try_acquire()); }, [&] { other.acquire(); }, [&] { held.release(); }, [&] { static_cast<void>(held.renew()); },
           [&] { static_cast<void>(other.locked()); }, [&] { static_cast<void>(other.holder()); }}) {
    const auto before = std::chrono::steady_clock::now();
    const sherlock::BackendException e = failure_of(ask);
    CHECK(e.code() == sherlock::Errc::busy);
    CHECK_THAT(e.what(), says(shown));
    CHECK(std::chrono::steady_clock::now() - before < 8s);
  }
  server.resume();
  answered([&] { held.release(); });
  // What was asked of `other` and never answered was perhaps done when the server went on, for an owner who knows and may ask again.
  CHECK(answered([&] { return other.try_acquire(); }));
}

template <class Lock, class Server>
void try_without_answer_is_taken_back(Server& server) {
  using namespace std::chrono_literals;
  CHECK(is_once([&](const std::string& name) {
    Lock look{name, {}, server.url()};
    look.acquire();  // from now on the server knows what it has to, and a try is one request
    look.release();
    {
      Lock doubtful{name, {.expire = sherlock::never, .timeout = 0s}, server.url()};
      server.stop();
      CHECK_THROWS_AS(doubtful.try_acquire(), sherlock::BackendException);
      server.resume();
      for (const auto end = std::chrono::steady_clock::now() + kPatience; !look.locked() && std::chrono::steady_clock::now() < end;) std::this_thread::yield();
      CHECK(look.locked());
    }
    return !look.locked();
  }));
}

// Of a server that knows nothing when it starts again. `name`: what the text of an exception begins with, after the lock's.
template <class Lock, class Server>
void hold_is_lost_with_what_the_server_knew(Server& server, const std::string& name) {
  Lock holder{"x", {}, server.url()}, next{"x", {}, server.url()};
  holder.acquire();
  const auto fence = holder.fence();
  server.kill();
  const sherlock::BackendException e = failure_of([&] { static_cast<void>(holder.renew()); });
  CHECK(e.code() == sherlock::Errc::unavailable);
  CHECK_THAT(e.what(), says("lock 'x' " + name + "://127.0.0.1:") && says("is the server running?"));
  CHECK(holder.held());  // it may come back
  server.start();
  CHECK_FALSE(holder.renew());
  CHECK_FALSE(holder.held());
  CHECK(next.try_acquire());
  CHECK(next.fence() > fence);
  CHECK_THROWS_AS(holder.release(), sherlock::LockLostException);
  CHECK(next.renew());
}

// `at`: the URL of a port of loopback.
template <class Lock, class Url>
void no_server_is_an_exception_in_time(Url at) {
  using namespace std::chrono_literals;
  const Blackhole blackhole;
  Lock lost{"x", {.timeout = 100ms}, at(blackhole.port())};
  const auto before = std::chrono::steady_clock::now();
  const sherlock::BackendException e = failure_of([&] { static_cast<void>(lost.try_acquire()); });
  CHECK(e.code() == sherlock::Errc::busy);
  CHECK_THAT(e.what(), says(at(blackhole.port())) && says("is the address right"));
  CHECK(std::chrono::steady_clock::now() - before >= 900ms);  // a try has a second, which libraries count in milliseconds
  CHECK(std::chrono::steady_clock::now() - before < 8s);
  Lock nobody{"x", {}, at(free_port())};
  CHECK(failure_of([&] { nobody.acquire(); }).code() == sherlock::Errc::unavailable);
}

}  // namespace support
