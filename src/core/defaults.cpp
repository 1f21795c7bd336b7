// SPDX-License-Identifier: MIT
#include "core/defaults.hpp"

#include <fmt/core.h>
#include <pthread.h>

#include <mutex>
#include <utility>

#include <sherlock/error.hpp>

#include "posix/process.hpp"

namespace sherlock::detail {
namespace {

struct Configured {
  std::mutex mutex;
  std::shared_ptr<const Options> options = std::make_shared<const Options>();
};

Configured& configured() {
  static Configured* const made = [] {
    auto* fresh = new Configured;
    // Held over a fork: the child makes locks too, and has no other thread that could unlock it.
    pthread_atfork([] { configured().mutex.lock(); }, [] { configured().mutex.unlock(); }, [] { configured().mutex.unlock(); });
    return fresh;
  }();
  return *made;
}

// Made while the program is loaded: a fork in the middle of the first use would leave the child waiting for its end.
[[maybe_unused]] const Configured& made_at_start = configured();

void check_size(const char* option, std::size_t size, std::size_t most) {
  if (size > most) throw ConfigurationException{fmt::format("{} of {} bytes is too long: at most {}", option, size, most)};
}

}  // namespace

void check_duration(const char* option, const std::optional<Duration>& given, bool zero_allowed) {
  if (!given) return;
  const char* wrong = given->is_nan()                                 ? "is not a number"
                      : given->is_negative()                          ? "is negative"
                      : !zero_allowed && given->ns().count() == 0     ? "must be more than 0"
                                                                      : nullptr;
  if (wrong) throw ConfigurationException{fmt::format("{} = {} {}", option, given->text(), wrong)};
}

std::shared_ptr<const Options> configured_options() {
  const std::lock_guard guard{configured().mutex};
  return configured().options;
}

void set_configured_options(std::shared_ptr<const Options> options) {
  const std::lock_guard guard{configured().mutex};
  configured().options = std::move(options);
}

void check_options(const Options& options) {
  check_duration("expire", options.expire, false);  // a lease of no length would end before it began
  check_duration("timeout", options.timeout, true);
  check_duration("retry_interval", options.retry_interval, false);
  if (options.ns) check_size("ns", options.ns->size(), kMaxNs);
  if (options.label) check_size("label", options.label->size(), kMaxLabel);
}

void check_name(const std::string& name) {
  if (name.empty()) throw ConfigurationException{"name is empty: a lock needs a name of 1 to 1024 bytes"};
  check_size("name", name.size(), kMaxName);
}

std::string program_name() { return posix::program_name(); }

}  // namespace sherlock::detail
