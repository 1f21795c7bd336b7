// SPDX-License-Identifier: MIT
// The plug-ins of these tests.
#pragma once

namespace plugins {

enum class Kind { good, throws, throws_other, taken, twice, empty, two, asks, meets, no_entry, undefined, plain };

}  // namespace plugins

// For the preprocessor: the numbers of some.
#define SHERLOCK_TEST_NO_ENTRY 9
#define SHERLOCK_TEST_UNDEFINED 10
#define SHERLOCK_TEST_PLAIN 11
static_assert(static_cast<int>(plugins::Kind::no_entry) == SHERLOCK_TEST_NO_ENTRY);
static_assert(static_cast<int>(plugins::Kind::undefined) == SHERLOCK_TEST_UNDEFINED);
static_assert(static_cast<int>(plugins::Kind::plain) == SHERLOCK_TEST_PLAIN);
