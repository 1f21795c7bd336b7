// SPDX-License-Identifier: MIT
// What a lock throws. Ordinary outcomes ("somebody has it") are return values; these are failures and misuse.
// Every exception is a LockException, and so a std::system_error whose code() is one of Errc. The text names the lock, the
// store and, where there is one, the way out.
#pragma once

#include <string>
#include <string_view>
#include <system_error>

#include <sherlock/export.hpp>

namespace sherlock {

// One list for exceptions and exit codes of the command line.
enum class Errc {
  timeout = 1,    // LockTimeoutException: somebody else has had it for the whole timeout
  not_held,       // LockNotHeldException: this object does not hold the lock
  lost,           // LockLostException: the hold ended before it was released
  cancelled,      // LockCancelledException: the stop_token was triggered
  busy,           // BackendException: the store answered nobody in time; whether the lock is free is not known
  unavailable,    // BackendException: the store cannot be reached or is not supported here
  damaged,        // BackendException: the store is not what it should be: foreign, of another format, corrupt
  system,         // BackendException: the system refused: out of descriptors, memory, space
  cannot_create,  // BackendException: the store is not there and cannot be made
  unsafe,         // BackendException: permissions, ownership or kind of a file let others interfere
  configuration,  // ConfigurationException: an option, a name or a client that makes no sense
};

SHERLOCK_API const std::error_category& lock_category() noexcept;
SHERLOCK_API std::error_code make_error_code(Errc code) noexcept;

// Thread-safe to read and to copy.
class SHERLOCK_API LockException : public std::system_error {
 public:
  LockException(Errc code, const std::string& text, std::string_view lock = {}, std::string_view backend = {}, std::error_code cause = {});
  LockException(const LockException&) = default;
  ~LockException() override;

  const char* what() const noexcept override { return text_.c_str(); }
  const std::string& lock() const noexcept { return lock_; }        // the lock's name; empty where no lock is concerned
  const std::string& backend() const noexcept { return backend_; }  // "file", "redis", ...
  std::error_code cause() const noexcept { return cause_; }         // errno or the store's own code; no code where there is none

 private:
  std::string text_, lock_, backend_;
  std::error_code cause_;
};

class SHERLOCK_API LockTimeoutException final : public LockException {
 public:
  using LockException::LockException;
  ~LockTimeoutException() override;
};

class SHERLOCK_API LockNotHeldException final : public LockException {
 public:
  using LockException::LockException;
  ~LockNotHeldException() override;
};

class SHERLOCK_API LockLostException final : public LockException {
 public:
  using LockException::LockException;
  ~LockLostException() override;
};

class SHERLOCK_API LockCancelledException final : public LockException {
 public:
  using LockException::LockException;
  ~LockCancelledException() override;
};

class SHERLOCK_API BackendException final : public LockException {
 public:
  using LockException::LockException;
  ~BackendException() override;
};

class SHERLOCK_API ConfigurationException final : public LockException {
 public:
  explicit ConfigurationException(const std::string& text, std::string_view lock = {}, std::string_view backend = {})
      : LockException{Errc::configuration, text, lock, backend} {}
  ConfigurationException(const ConfigurationException&) = default;
  ~ConfigurationException() override;
};

}  // namespace sherlock

template <>
struct std::is_error_code_enum<sherlock::Errc> : std::true_type {};
