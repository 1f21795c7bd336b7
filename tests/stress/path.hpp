// SPDX-License-Identifier: MIT
// The instructions of a section in their order, and a short way to any of them. Single steps cost microseconds each, and there may be tens of thousands: so
// most of the way is run through, up to a breakpoint of the processor, which is set where the path has seldom been before.
#pragma once

#include <sys/ptrace.h>
#include <sys/user.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace stress {

class Path {
 public:
  void passed(std::uint64_t address) {
    address_.push_back(address);
    nth_.push_back(++times_[address]);
  }
  long length() const { return static_cast<long>(address_.size()); }

  // To be run to before the rest is stepped.
  struct Anchor {
    long instructions = 0;  // before it
    std::uint64_t address = 0;
    std::uint32_t nth = 0;  // how often it is met until then
  };
  // Of a place so many instructions along the path.
  Anchor anchor(long instructions) const {
    Anchor best;
    for (long i = std::min(instructions, length() - 1); i > 0 && i > instructions - kSteps; --i) {
      const auto at = static_cast<std::size_t>(i);
      if (best.nth == 0 || nth_[at] < best.nth) best = {i, address_[at], nth_[at]};
    }
    return best;
  }

 private:
  static constexpr long kSteps = 40;
  std::vector<std::uint64_t> address_;
  std::vector<std::uint32_t> nth_;
  std::unordered_map<std::uint64_t, std::uint32_t> times_;
};

// Of a traced process that is stopped. False where the processor's breakpoints cannot be had.
inline bool set_breakpoint(pid_t pid, std::uint64_t address) {
#ifdef __x86_64__
  const auto poke = [pid](std::size_t which, std::uint64_t value) {
    return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg) + which * sizeof(std::uint64_t), value) == 0;
  };
  return poke(7, 0) && (address == 0 || (poke(0, address) && poke(7, 1)));
#else
  static_cast<void>(pid), static_cast<void>(address);
  return false;
#endif
}

inline std::uint64_t next_address(pid_t pid) {
#ifdef __x86_64__
  return static_cast<std::uint64_t>(ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), nullptr));
#else
  static_cast<void>(pid);
  return 0;
#endif
}

}  // namespace stress
