// SPDX-License-Identifier: MIT
// How the parts of an add-on say that the store failed, without knowing for which lock; and how that becomes what users see.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <sherlock/error.hpp>

namespace sherlock::addons {

// What a server or a user wrote, fit to be shown: UTF-8, with bytes that a terminal could take for commands as \xNN, and no more than `longest` of them.
std::string printable(std::string_view text, std::size_t longest = 200);

class Failure : public std::runtime_error {
 public:
  Failure(Errc code, const std::string& text, std::error_code cause = {}) : std::runtime_error{text}, code_{code}, cause_{cause} {}
  Errc code() const noexcept { return code_; }
  std::error_code cause() const noexcept { return cause_; }

 private:
  Errc code_;
  std::error_code cause_;
};

// The connection is of no use any more: whether the server did what it was asked last is not known. On a new one it may be asked again.
class Broken : public Failure {
 public:
  using Failure::Failure;
};

[[noreturn]] void throw_backend(const Failure& failure, std::string_view lock, std::string_view backend);

// What a hook does, with a Failure made a BackendException of this lock.
template <class Call>
auto guarded(std::string_view lock, std::string_view backend, Call&& call) -> decltype(call()) {
  try {
    return call();
  } catch (const Failure& failure) {
    throw_backend(failure, lock, backend);
  }
}

}  // namespace sherlock::addons
