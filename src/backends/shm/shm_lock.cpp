// SPDX-License-Identifier: MIT
// The face: every hook goes to the Impl, whose parts are in acquire.cpp, release.cpp and look.cpp; the short ways have what they need here.
#include <sherlock/shm_lock.hpp>

#include <utility>

#include "backends/shm/shm_impl.hpp"
#include "core/failure.hpp"
#include "posix/process.hpp"

namespace sherlock {

ShmLock::ShmLock(std::string name, Options options, Client client)
    : BaseLock{std::move(name), std::move(options), traits, "shm", Threads::store_decides_at_once},
      impl_{detail::guarded(this->name(), backend(),
                            [&] { return new Impl{key(), std::move(client), label()}; })} {}

ShmLock::~ShmLock() {
  let_go();
  Impl* impl = impl_.load();
  if (impl->process() == posix::process_token())
    delete impl;
  else
    posix::leave_to_parent(impl);
}

ShmLock::Impl& ShmLock::impl() const {
  Impl* present = impl_.load(std::memory_order_acquire);
  while (present->process() != posix::process_token()) [[unlikely]] {
    auto* fresh = new Impl{key(), present->client(), label()};
    if (impl_.compare_exchange_strong(present, fresh)) {
      posix::leave_to_parent(present);
      return *fresh;
    }
    delete fresh;
  }
  return *present;
}

std::string ShmLock::segment() const { return "/" + shm::ShmStore::segment_of(impl_.load()->client()); }

std::optional<Grant> ShmLock::do_acquire(const Claim& claim) {
  Impl& impl = this->impl();
  auto grant = impl.acquire(claim);
  if (grant) quick_.store(impl.held_at(), std::memory_order_release);
  return grant;
}
bool ShmLock::do_release(const Claim& claim) { return impl().release(claim); }
bool ShmLock::do_renew(const Claim& claim) { return impl().renew(claim); }
bool ShmLock::do_locked(const Claim& claim) const { return impl().locked(claim); }
std::optional<Holder> ShmLock::do_holder(const Claim& claim) const { return impl().holder(claim); }
void ShmLock::do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) {
  impl().wait(claim, deadline, std::move(stop));
}
std::vector<int> ShmLock::do_inheritable(const Claim&) const { return impl().inheritable(); }

}  // namespace sherlock
