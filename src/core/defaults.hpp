// SPDX-License-Identifier: MIT
// What a lock uses where it is not told: what configure() said (kept here, below the registry that sets it), and the library's own.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include <sherlock/options.hpp>

namespace sherlock::detail {

inline constexpr Duration kDefaultTimeout = std::chrono::seconds{10};
inline constexpr Duration kDefaultRetryInterval = std::chrono::milliseconds{100};
inline constexpr std::size_t kMaxName = 1024, kMaxNs = 1024, kMaxLabel = 256;

// Never null. Any thread.
std::shared_ptr<const Options> configured_options();
void set_configured_options(std::shared_ptr<const Options> options);

// Throws ConfigurationException that names the option and its value.
void check_duration(const char* option, const std::optional<Duration>& given, bool zero_allowed);
void check_options(const Options& options);
void check_name(const std::string& name);

std::string program_name();

}  // namespace sherlock::detail
