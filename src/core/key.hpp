// SPDX-License-Identifier: MIT
// The store's form of (ns, name): fit for a file name, never a path, and different for different pairs.
#pragma once

#include <string>
#include <string_view>

namespace sherlock::detail {

// `<readable>-<32 hex digits>`, at most 73 bytes of [a-z0-9_-], not starting with '-'. The digits are the RFC 4122 name-based UUID (version 5, SHA-1) of
// "<length of ns>:<ns><name>" in the namespace kKeyNamespace, so that other programs can compute it too. Never changes: processes that
// disagree about a key do not exclude each other.
std::string make_key(std::string_view ns, std::string_view name);

inline constexpr const char* kKeyNamespace = "5b9f5b0e-4a1d-5c53-9d5c-7d6a1c0f2e61";

}  // namespace sherlock::detail
