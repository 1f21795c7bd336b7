// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>

#include <sherlock/error.hpp>

#include "support/subprocess.hpp"

namespace support {

// What `call` returns, asked again while the server has not answered in time: a verb has a second for it, and a busy machine or a slow disk may need more.
template <class Call>
auto answered(Call call) {
  for (const auto end = std::chrono::steady_clock::now() + kPatience;;) try {
      return call();
    } catch (const sherlock::BackendException& e) {
      if (e.code() != sherlock::Errc::busy || std::chrono::steady_clock::now() >= end) throw;
    }
}

}  // namespace support
