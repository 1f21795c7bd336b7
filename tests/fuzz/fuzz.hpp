// SPDX-License-Identifier: MIT
// What a fuzz target is: a function that is given any bytes and must come back. libFuzzer calls it by this name; so does seeded.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
