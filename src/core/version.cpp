// SPDX-License-Identifier: MIT
#include <sherlock/version.hpp>

namespace sherlock {

const char* version() noexcept { return SHERLOCK_VERSION; }

}  // namespace sherlock
