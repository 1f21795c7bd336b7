// SPDX-License-Identifier: MIT
// ?mode=0660 in a client's text: who may open what all share.
#pragma once

#include <functional>
#include <string_view>

namespace sherlock::local {

// Octal digits. What no store may have is given, in words, to `refuse`, which throws.
unsigned parse_mode(std::string_view digits, const std::function<void(std::string_view)>& refuse);

}  // namespace sherlock::local
