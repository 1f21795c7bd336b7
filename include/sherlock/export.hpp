// SPDX-License-Identifier: MIT
// Marks what the shared library shows to the outside; everything else is hidden.
#pragma once

#define SHERLOCK_API __attribute__((visibility("default")))
