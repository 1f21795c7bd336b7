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

// Makes the registry know them, and the backends that are whole: "reference", "reference-weak" (which declares nothing that is not needed) and
// "memory" of docs/examples.
void register_all();

}  // namespace reference
