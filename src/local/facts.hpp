// SPDX-License-Identifier: MIT
// What a companion knows about the owner of a gate word, for people.
#pragma once

#include <cstdint>

#include <sherlock/holder.hpp>

#include "local/companion.hpp"
#include "local/table.hpp"

namespace sherlock::local {

// The process alone where it is just taking the lock (the rest is its predecessor's); nothing of a word that is nobody's. Of two holders' facts
// some of each where the lock changes hands meanwhile: look at the word again afterwards.
Holder facts_of(const Companion& companion, const Table& table, const Found& found, std::uint64_t word);

}  // namespace sherlock::local
