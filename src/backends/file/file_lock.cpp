// SPDX-License-Identifier: MIT
// The face: every hook goes to the Impl, whose parts are in acquire.cpp, release.cpp and look.cpp.
#include <sherlock/file_lock.hpp>

#include <utility>

#include "backends/file/file_impl.hpp"
#include "core/failure.hpp"
#include "posix/process.hpp"

namespace sherlock {

FileLock::FileLock(std::string name, Options options, Client client)
    : BaseLock{std::move(name), std::move(options), traits, "file", Threads::store_excludes},
      impl_{detail::guarded(this->name(), backend(), [&] { return new Impl{key(), std::move(client)}; })} {}

FileLock::~FileLock() {
  let_go();
  Impl* impl = impl_.load();
  if (impl->process() == posix::process_token())
    delete impl;
  else
    posix::leave_to_parent(impl);
}

FileLock::Impl& FileLock::impl() const {
  Impl* present = impl_.load(std::memory_order_acquire);
  while (present->process() != posix::process_token()) [[unlikely]] {
    auto* fresh = new Impl{key(), present->client()};
    if (impl_.compare_exchange_strong(present, fresh)) {
      posix::leave_to_parent(present);
      return *fresh;
    }
    delete fresh;
  }
  return *present;
}

std::string FileLock::path() const { return impl_.load()->path(); }

std::optional<Grant> FileLock::do_acquire(const Claim& claim) { return impl().acquire(claim); }
bool FileLock::do_release(const Claim& claim) { return impl().release(claim); }
bool FileLock::do_renew(const Claim& claim) { return impl().renew(claim); }
bool FileLock::do_locked(const Claim& claim) const { return impl().locked(claim); }
std::optional<Holder> FileLock::do_holder(const Claim& claim) const { return impl().holder(claim); }
void FileLock::do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) {
  impl().wait(claim, deadline, std::move(stop));
}
std::vector<int> FileLock::do_inheritable(const Claim&) const { return impl().inheritable(); }

}  // namespace sherlock
