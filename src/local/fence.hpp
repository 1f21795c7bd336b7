// SPDX-License-Identifier: MIT
// The fence of a lock whose word decides alone. The tag of the word is the low part of the fence, raised by the very compare-and-swap that grants;
// the entry records the whole number now and then. Who is killed or stopped after its grant leaves nothing undone.
#pragma once

#include <cstdint>

#include "local/layout.hpp"
#include "local/word.hpp"

namespace sherlock::local {

// The fence that a word's tag stands for: the first not below `recorded` that ends with it.
constexpr std::uint64_t fence_of(std::uint64_t recorded, std::uint32_t tag) {
  return recorded + ((tag - static_cast<std::uint32_t>(recorded)) & gate::kTagMask);
}

// Whether it is time to record: long before the tag has gone round, for many may be stopped between their grant and this.
constexpr bool lags(std::uint64_t recorded, std::uint64_t fence) { return fence - recorded >= (gate::kTagMask + 1) / 4; }

// Never lowers it: a lease holder that was stopped after its grant may come with its fence when later ones have been recorded.
inline void raise_fence(Word64& recorded, std::uint64_t fence) {
  std::uint64_t present = recorded.load(std::memory_order_relaxed);
  while (present < fence && !recorded.compare_exchange_weak(present, fence)) {
  }
}

}  // namespace sherlock::local
