// SPDX-License-Identifier: MIT
#include <sherlock/error.hpp>

namespace sherlock {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "sherlock"; }

  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::timeout: return "timed out waiting for the lock";
      case Errc::not_held: return "the lock is not held by this object";
      case Errc::lost: return "the hold ended before it was released";
      case Errc::cancelled: return "waiting for the lock was cancelled";
      case Errc::busy: return "the store did not answer in time";
      case Errc::unavailable: return "the store is not available";
      case Errc::damaged: return "the store is damaged or foreign";
      case Errc::system: return "the system refused";
      case Errc::cannot_create: return "the store cannot be made";
      case Errc::unsafe: return "the store is not safe to use";
      case Errc::configuration: return "the configuration makes no sense";
    }
    return "unknown error";
  }
};

}  // namespace

const std::error_category& lock_category() noexcept {
  static const auto* const category = new Category;  // never destroyed: there are exceptions while a program exits
  return *category;
}

namespace {
// Made while the program is loaded: a fork in the middle of the first use would leave the child waiting for its end.
[[maybe_unused]] const std::error_category& category_made_at_start = lock_category();
}  // namespace

std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), lock_category()}; }

LockException::LockException(Errc code, const std::string& text, std::string_view lock, std::string_view backend, std::error_code cause)
    : std::system_error{code, text}, text_{text}, lock_{lock}, backend_{backend}, cause_{cause} {}

// Here, so that every user of the library has the same type information.
LockException::~LockException() = default;
LockTimeoutException::~LockTimeoutException() = default;
LockNotHeldException::~LockNotHeldException() = default;
LockLostException::~LockLostException() = default;
LockCancelledException::~LockCancelledException() = default;
BackendException::~BackendException() = default;
ConfigurationException::~ConfigurationException() = default;

}  // namespace sherlock
