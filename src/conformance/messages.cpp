// SPDX-License-Identifier: MIT
#include "conformance/messages.hpp"

#include <cstdint>

#include <sherlock/error.hpp>

#include "conformance/check.hpp"

namespace sherlock::conformance {
namespace {

std::string word_of(Duration duration) { return std::to_string(duration.ns().count()); }

Duration duration_of(const std::string& word) {
  const std::chrono::nanoseconds ns{std::stoll(word)};
  return ns == std::chrono::nanoseconds::max() ? Duration::infinite() : Duration{ns};
}

template <class Number>
std::string word_of(const std::optional<Number>& number) {
  return number ? std::to_string(*number) : "";
}

template <class Number>
std::optional<Number> number_of(const std::string& word) {
  if (word.empty()) return std::nullopt;
  return static_cast<Number>(std::stoull(word));
}

template <class Exception>
bool is(const std::exception& thrown) {
  return dynamic_cast<const Exception*>(&thrown) != nullptr;
}

}  // namespace

Message subject_message(const std::string& part, const Subject& subject) {
  Message message{part, subject.backend, subject.client, word_of(subject.lease), word_of(subject.limit), subject.program};
  message.push_back(std::to_string(subject.plugins.size()));
  message.insert(message.end(), subject.plugins.begin(), subject.plugins.end());
  return message;
}

Subject subject_of(const Message& message) {
  Subject subject{.backend = message.at(1),
                  .client = message.at(2),
                  .lease = duration_of(message.at(3)),
                  .limit = duration_of(message.at(4)),
                  .program = message.at(5)};
  for (std::size_t i = 0; i < std::stoul(message.at(6)); ++i) subject.plugins.push_back(message.at(7 + i));
  return subject;
}

std::vector<std::string> words_of(const Options& options) {
  return {options.ns.value_or(""), word_of(options.expire.value()), word_of(options.timeout.value()), word_of(options.retry_interval.value()),
          options.label.value_or("")};
}

Options options_of(const Message& message, std::size_t first) {
  return {.ns = message.at(first),
          .expire = duration_of(message.at(first + 1)),
          .timeout = duration_of(message.at(first + 2)),
          .retry_interval = duration_of(message.at(first + 3)),
          .label = message.at(first + 4)};
}

Message holder_message(const std::optional<Holder>& holder) {
  if (!holder) return {"free"};
  return {"held", word_of(holder->pid), holder->label, word_of(holder->fence)};
}

std::optional<Holder> holder_of(const Message& message) {
  if (message.at(0) == "free") return std::nullopt;
  return Holder{.pid = number_of<std::int64_t>(message.at(1)), .label = message.at(2), .fence = number_of<std::uint64_t>(message.at(3))};
}

Message exception_message(const std::exception& thrown) {
  const char* const kind = is<LockTimeoutException>(thrown)     ? "timeout"
                           : is<LockNotHeldException>(thrown)   ? "not held"
                           : is<LockLostException>(thrown)      ? "lost"
                           : is<LockCancelledException>(thrown) ? "cancelled"
                           : is<BackendException>(thrown)       ? "backend"
                           : is<ConfigurationException>(thrown) ? "configuration"
                                                                : "no LockException";
  return {kThrew, kind, thrown.what()};
}

void rethrow(const Message& message) {
  const std::string &kind = message.at(1), &text = message.at(2);
  if (kind == "timeout") throw LockTimeoutException{Errc::timeout, text};
  if (kind == "not held") throw LockNotHeldException{Errc::not_held, text};
  if (kind == "lost") throw LockLostException{Errc::lost, text};
  if (kind == "cancelled") throw LockCancelledException{Errc::cancelled, text};
  if (kind == "backend") throw BackendException{Errc::unavailable, text};
  if (kind == "configuration") throw ConfigurationException{text};
  throw Broken{"a verb throws " + kind + ": " + text};
}

}  // namespace sherlock::conformance
