// SPDX-License-Identifier: MIT
// A host's name made into addresses, under a deadline and in the calling thread.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "addons/common/deadline.hpp"
#include "addons/common/url.hpp"

namespace sherlock::addons {

struct Address {
  sockaddr_storage data{};
  socklen_t length = 0;
};
using Addresses = std::vector<Address>;

// At least one. Failure (unavailable) where the name is not known, Failure (busy) where no name server answers in time. The resolver counts in
// whole seconds, so this may take up to a second more than it has; an address in digits takes no time.
Addresses resolve(const Url& url, int port, Deadline deadline);

}  // namespace sherlock::addons
