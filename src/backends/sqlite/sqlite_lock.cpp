// SPDX-License-Identifier: MIT
// The face: every hook goes to the Impl, whose parts are in acquire.cpp, release.cpp and look.cpp.
#include <sherlock/sqlite_lock.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include <sherlock/clock.hpp>

#include "backends/sqlite/sqlite_impl.hpp"
#include "core/failure.hpp"
#include "posix/process.hpp"

namespace sherlock {
namespace {

// A lock that is only being made has as long as a verb that does not wait for others: a second is not enough for the last of a thousand processes that
// start together.
std::chrono::nanoseconds open_by(Duration timeout) {
  constexpr Duration kLeast = std::chrono::seconds{1}, kMost = std::chrono::seconds{10};
  const std::chrono::nanoseconds patience = std::clamp(timeout.ns(), kLeast.ns(), kMost.ns());
  return clock().monotonic() + patience;
}

}  // namespace

SqliteLock::SqliteLock(std::string name, Options options, Client client)
    : BaseLock{std::move(name), std::move(options), traits, "sqlite", Threads::one_at_a_time},
      impl_{detail::guarded(this->name(), backend(), [&] { return new Impl{key(), std::move(client), open_by(timeout())}; })} {}

SqliteLock::~SqliteLock() {
  let_go();
  Impl* impl = impl_.load();
  if (impl->process() == posix::process_token())
    delete impl;
  else
    posix::leave_to_parent(impl);
}

SqliteLock::Impl& SqliteLock::impl() const {
  Impl* present = impl_.load(std::memory_order_acquire);
  while (present->process() != posix::process_token()) [[unlikely]] {
    auto* fresh = new Impl{key(), present->client(), open_by(timeout())};
    if (impl_.compare_exchange_strong(present, fresh)) {
      posix::leave_to_parent(present);
      return *fresh;
    }
    delete fresh;
  }
  return *present;
}

std::optional<Grant> SqliteLock::do_acquire(const Claim& claim) { return impl().acquire(claim); }
bool SqliteLock::do_release(const Claim& claim) { return impl().release(claim); }
bool SqliteLock::do_renew(const Claim& claim) { return impl().renew(claim); }
bool SqliteLock::do_locked(const Claim& claim) const { return impl().locked(claim); }
std::optional<Holder> SqliteLock::do_holder(const Claim& claim) const { return impl().holder(claim); }
void SqliteLock::do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) {
  impl().wait(claim, deadline, std::move(stop));
}
std::vector<int> SqliteLock::do_inheritable(const Claim&) const { return impl().inheritable(); }

}  // namespace sherlock
