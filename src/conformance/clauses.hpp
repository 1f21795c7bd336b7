// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <sherlock/conformance.hpp>
#include <sherlock/traits.hpp>

#include "conformance/stage.hpp"

namespace sherlock::conformance {

// How the clause of this number is judged; null where there is none.
void (*judge_of(int number))(Stage&);

// The first trait that the clause needs and `traits` lack, as it is declared: "fair = false". Empty: the clause applies.
std::string missing_trait(const Clause& clause, const Traits& traits);
// "fair = true", for lists.
std::string text(Need need);

}  // namespace sherlock::conformance
