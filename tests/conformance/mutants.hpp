// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace reference {

// A broken backend, and the clause that must catch it.
struct MutantName {
  int clause;
  std::string backend;
};

// At least one for each clause, in order.
const std::vector<MutantName>& mutants();

// Makes the registry know them, the backends that are whole ("reference", "weak" which declares nothing, "memory" of docs/examples), and two
// that are beyond judging: "crashes" and "hangs".
void register_all();

}  // namespace reference
