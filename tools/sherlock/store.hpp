// SPDX-License-Identifier: MIT
// What the commands have in common: the lock that was meant, and who holds it, in words.
#pragma once

#include <memory>
#include <string>

#include <sherlock/base_lock.hpp>
#include <sherlock/holder.hpp>
#include <sherlock/options.hpp>

#include "args.hpp"
#include "text.hpp"

namespace sherlock::cli {

// The lock of this name in the store that the common options name; `options` without ns.
std::unique_ptr<BaseLock> open_lock(const Common& common, const std::string& name, Options options = {});

// "alice", or the number where the system has no name for it.
std::string user_name(std::int64_t uid);

// "backup.sh (pid 4242, alice)", or "another program" where the store knows nothing; on which host, if that is not this one.
std::string who(const Holder& holder);

// "held by backup.sh (pid 4242, alice) for 3m12s, \"full dump\"". Escaped.
std::string held_by(const Holder& holder, WallTime now);

}  // namespace sherlock::cli
