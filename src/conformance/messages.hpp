// SPDX-License-Identifier: MIT
// Subjects, options, holders and exceptions as messages.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <sherlock/conformance.hpp>
#include <sherlock/holder.hpp>
#include <sherlock/options.hpp>

#include "conformance/channel.hpp"

namespace sherlock::conformance {

// The first message to a program that plays a part.
Message subject_message(const std::string& part, const Subject& subject);
Subject subject_of(const Message& message);

// on_lost stays behind: whoever makes the lock there counts the calls.
inline constexpr std::size_t kOptionWords = 5;
std::vector<std::string> words_of(const Options& options);
Options options_of(const Message& message, std::size_t first);

// As much of it as clauses ask for.
Message holder_message(const std::optional<Holder>& holder);
std::optional<Holder> holder_of(const Message& message);

// The first word of an answer that is an exception.
inline constexpr const char* kThrew = "threw";
Message exception_message(const std::exception& thrown);
// As the class that was thrown, if it is one of the contract's; else as Broken.
[[noreturn]] void rethrow(const Message& message);

}  // namespace sherlock::conformance
