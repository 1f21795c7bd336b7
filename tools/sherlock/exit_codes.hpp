// SPDX-License-Identifier: MIT
// What a shell is told. The numbers are those of sysexits(3) and env(1); sherlock(1) lists them under EXIT STATUS.
#pragma once

#include <sherlock/error.hpp>

namespace sherlock::cli {

inline constexpr int kUsage = 64, kDamaged = 65, kUnavailable = 69, kSystem = 71, kCannotCreate = 73, kOutput = 74, kBusy = 75, kLost = 76,
                     kUnsafe = 77, kConfiguration = 78, kCannotRun = 126, kNotFound = 127;

constexpr int exit_code(Errc code) {
  switch (code) {
    case Errc::timeout: return kBusy;
    case Errc::lost:
    case Errc::not_held: return kLost;  // here only what was held is asked for: it is gone
    case Errc::busy:
    case Errc::unavailable: return kUnavailable;
    case Errc::damaged: return kDamaged;
    case Errc::cannot_create: return kCannotCreate;
    case Errc::unsafe: return kUnsafe;
    case Errc::configuration: return kConfiguration;
    case Errc::system:
    case Errc::cancelled: break;
  }
  return kSystem;
}

}  // namespace sherlock::cli
