// SPDX-License-Identifier: MIT
// What locks use where they are not told otherwise.
#pragma once

#include <any>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sherlock/duration.hpp>
#include <sherlock/export.hpp>
#include <sherlock/options.hpp>

namespace sherlock {

// How a backend reaches its store: text that the backend understands (a directory, a path, a URL), or the backend's own L::Client.
class AnyClient {
 public:
  AnyClient() = default;
  // Null is no client, so that std::getenv() may stand here.
  AnyClient(const char* text) {
    if (text) value_ = std::string{text};
  }
  AnyClient(std::string_view text) : value_{std::string{text}} {}
  AnyClient(std::string text) : value_{std::move(text)} {}
  // std::filesystem::path and its like are text, too.
  template <class T>
    requires(std::convertible_to<const T&, std::string> && !std::convertible_to<const T&, std::string_view> && !std::same_as<T, AnyClient>)
  AnyClient(const T& text) : AnyClient{static_cast<std::string>(text)} {}
  template <class C>
    requires(!std::convertible_to<C, std::string> && !std::convertible_to<C, std::string_view> &&
             !std::same_as<std::remove_cvref_t<C>, AnyClient> && std::copy_constructible<std::remove_cvref_t<C>>)
  AnyClient(C&& client) : value_{std::forward<C>(client)} {}

  bool empty() const noexcept { return !value_.has_value(); }
  const std::any& value() const noexcept { return value_; }
  // The text, or null where it is not text.
  const std::string* text() const noexcept { return std::any_cast<std::string>(&value_); }

 private:
  std::any value_;
};

// Everything is optional: configure() changes only what is given.
struct Config {
  std::optional<std::string> backend{};
  AnyClient client{};  // of `backend`; `backend` without a client drops the old one and uses its default
  std::optional<std::string> ns{};
  std::optional<Duration> expire{};
  std::optional<Duration> timeout{};
  std::optional<Duration> retry_interval{};
  std::optional<std::string> label{};
  OnLost on_lost{};
};

// Changes the process-wide configuration, as one step: a lock made meanwhile sees all of it or nothing. Locks that exist keep theirs.
// A backend is named first or together with its client; naming one without a client drops the client there was.
// ConfigurationException (nothing is changed then): an unknown backend, a client of the wrong type or without a backend,
// an option out of range. Any thread may call it.
SHERLOCK_API void configure(const Config& config);

// What is configured now.
SHERLOCK_API Config configuration();

}  // namespace sherlock
