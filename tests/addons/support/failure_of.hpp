// SPDX-License-Identifier: MIT
// The BackendException that a call must end with.
#pragma once

#include <stdexcept>

#include <sherlock/error.hpp>

namespace support {

template <class Ask>
sherlock::BackendException failure_of(Ask ask) {
  try {
    ask();
  } catch (const sherlock::BackendException& e) {
    return e;
  }
  throw std::runtime_error{"no BackendException was thrown"};
}

}  // namespace support
