// SPDX-License-Identifier: MIT
// How a backend of ours says that its store failed, without knowing for which lock; and how that becomes what users see.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <sherlock/error.hpp>

namespace sherlock::detail {

class Failure : public std::runtime_error {
 public:
  Failure(Errc code, const std::string& text, std::error_code cause = {}) : std::runtime_error{text}, code_{code}, cause_{cause} {}
  Errc code() const noexcept { return code_; }
  std::error_code cause() const noexcept { return cause_; }

 private:
  Errc code_;
  std::error_code cause_;
};

// Inside a catch block: throws what is being handled on as a LockException of `lock`. A LockException passes unchanged; everything else becomes
// a BackendException, errno sorted into Errc, with the way out in the text where one is known.
[[noreturn]] void rethrow_as_backend(std::string_view lock, std::string_view backend);

template <class Call>
auto guarded(std::string_view lock, std::string_view backend, Call&& call) -> decltype(call()) {
  try {
    return call();
  } catch (...) {
    rethrow_as_backend(lock, backend);
  }
}

}  // namespace sherlock::detail
