// SPDX-License-Identifier: MIT
// What passes between a lock and its backend: the claim that is made of the store, and the grant that the store answers.
// Only people who write backends need this header.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <sherlock/duration.hpp>
#include <sherlock/export.hpp>

namespace sherlock {

// Names one hold: no two holds, of whatever process, have the same. Unique, not secret.
struct Owner {
  std::uint64_t process = 0;  // random, drawn once a process
  std::uint64_t hold = 0;     // counted within it

  // 32 hexadecimal digits.
  SHERLOCK_API std::string text() const;
  friend bool operator==(const Owner&, const Owner&) = default;
};

// Why do_acquire is asked.
enum class Attempt {
  once,     // by a try verb: nobody waits afterwards. Precedence of waiters does not concern it
  first,    // by a waiting verb, before any waiting. Others may have precedence
  waiting,  // by a waiting verb after do_wait, to which it returns when it is refused
  last,     // by a waiting verb after do_wait, at its deadline: refused, it waits no more
};

// What of a claim is the same for every claim of a lock object.
struct ClaimWords {
  std::string_view key;    // the store's form of (ns, name): [a-z0-9_-], at most 80 bytes, never a path. Injective in practice
  std::string_view name;   // any bytes, 1 to 1024
  std::string_view ns;     // any bytes, 0 to 1024
  std::string_view label;  // any bytes, 0 to 256
};

// What a lock object asks of the store. Lives for one call of a hook; the views are good for that long.
class Claim : public ClaimWords {
 public:
  Owner owner;             // this hold, or the one asked for
  Duration expire;         // never, or how long a lease lasts from now()
  Attempt attempt = Attempt::once;  // of do_acquire
  std::uint64_t fence = 0;          // the hold's, in do_release and do_renew

  // CLOCK_BOOTTIME in nanoseconds, read at most once a claim and only when asked. A lease ends at now() + expire.
  SHERLOCK_API std::chrono::nanoseconds now() const;
  // Reads it again. For a backend that spent time before it could grant; call it before the store is told the expiry.
  SHERLOCK_API std::chrono::nanoseconds refresh_now() const;

  // How long this call may take, whatever the store does: an instant of Clock::monotonic(). Past it, throw a
  // BackendException (Errc::busy): the store did not answer, which is not the same as "somebody has it".
  SHERLOCK_API std::chrono::nanoseconds answer_by() const;

  // Made by BaseLock; public for the unit tests of backends. `patience` counts from the first call of answer_by(), and
  // never ends before `deadline`.
  Claim(const ClaimWords& words, Owner owner, Duration expire, Attempt attempt = Attempt::once, std::uint64_t fence = 0,
        Duration patience = std::chrono::seconds{1}, std::chrono::nanoseconds deadline = {})
      : ClaimWords{words}, owner{owner}, expire{expire}, attempt{attempt}, fence{fence}, patience_{patience}, deadline_{deadline} {}

 private:
  Duration patience_;
  std::chrono::nanoseconds deadline_;
  mutable std::chrono::nanoseconds now_{};
  mutable std::chrono::nanoseconds answer_by_{};
};

// What the store answers when it grants a claim.
struct Grant {
  std::uint64_t fence = 0;  // strictly increasing for a key (trait `fences`)
  bool abandoned = false;   // the hold before this one ended by death or by its expiry, not by release
};

}  // namespace sherlock
