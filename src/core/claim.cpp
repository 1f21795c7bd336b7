// SPDX-License-Identifier: MIT
#include <sherlock/claim.hpp>

#include <fmt/core.h>

#include <algorithm>

#include <sherlock/clock.hpp>

namespace sherlock {

std::string Owner::text() const { return fmt::format("{:016x}{:016x}", process, hold); }

std::chrono::nanoseconds Claim::now() const { return now_.count() ? now_ : refresh_now(); }

std::chrono::nanoseconds Claim::refresh_now() const { return now_ = clock().boottime(); }

std::chrono::nanoseconds Claim::answer_by() const {
  if (!answer_by_.count()) answer_by_ = std::max(deadline_, patience_.after(clock().monotonic()));
  return answer_by_;
}

}  // namespace sherlock
