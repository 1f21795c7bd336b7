// SPDX-License-Identifier: MIT
#include <sherlock/keeper.hpp>

#include <utility>

#include <fmt/core.h>

#include "core/defaults.hpp"
#include "core/keeping.hpp"
#include "core/report.hpp"

namespace sherlock {

Keeper::Keeper(BaseLock& lock, KeeperOptions options) {
  try {
    detail::check_duration("lifetime", options.lifetime, false);
    if (options.lifetime && !options.lifetime->is_infinite() && lock.expire().is_infinite())
      throw ConfigurationException{fmt::format("lifetime = {}: a hold with expire = never does not end by itself; give the lock an expire", options.lifetime->text())};
  } catch (const ConfigurationException& e) {
    throw ConfigurationException{fmt::format("keeper of lock '{}' ({}): {}", detail::printable(lock.name()), lock.backend(), e.what()), lock.name(),
                                 lock.backend()};
  }
  keeping_ = std::make_shared<detail::Keeping>(lock, std::move(options));
  keeping_->attach();
}

Keeper::~Keeper() {
  if (keeping_->process() != posix::process_token()) {
    posix::leave_to_parent(new std::shared_ptr{std::move(keeping_)});
    return;
  }
  keeping_->end();
  keeping_->detach();
}

std::stop_token Keeper::stop_token() const noexcept { return keeping_->lost().get_token(); }

}  // namespace sherlock
