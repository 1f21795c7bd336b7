// SPDX-License-Identifier: MIT
#include <sherlock/config.hpp>

#include <mutex>

#include <sherlock/registry.hpp>

#include "core/defaults.hpp"

namespace sherlock {

namespace {

Options options_of(const Config& config) {
  return {.ns = config.ns,
          .expire = config.expire,
          .timeout = config.timeout,
          .retry_interval = config.retry_interval,
          .label = config.label,
          .on_lost = config.on_lost};
}

Config changed(Config config, const Config& change) {
  if (change.backend) {
    config.backend = change.backend;
    config.client = {};  // it was the other backend's
  }
  if (!change.client.empty()) config.client = change.client;
  if (change.ns) config.ns = change.ns;
  if (change.expire) config.expire = change.expire;
  if (change.timeout) config.timeout = change.timeout;
  if (change.retry_interval) config.retry_interval = change.retry_interval;
  if (change.label) config.label = change.label;
  if (change.on_lost) config.on_lost = change.on_lost;
  return config;
}

}  // namespace

void Registry::configure(const Config& change) {
  detail::check_options(options_of(change));
  if (change.backend) static_cast<void>(find(*change.backend));

  for (;;) {
    // The check may call a backend author's code, so no mutex is held until there is only a pointer to swap.
    const auto before = snapshot();
    const auto after = std::make_shared<const Config>(changed(*before, change));
    if (!change.client.empty()) {
      if (!after->backend)
        throw ConfigurationException{
            "a client was configured, but no backend: name it too, as in configure({.backend = ..., .client = ...})"};
      find(*after->backend).check(change.client);
    }
    const auto options = std::make_shared<const Options>(options_of(*after));

    const std::lock_guard guard{mutex_};
    if (config_ != before) continue;  // another thread was faster: its change stays, and this one goes on top
    config_ = after;
    if (process_wide_) detail::set_configured_options(options);
    return;
  }
}

Config Registry::configuration() const { return *snapshot(); }

void configure(const Config& config) { registry().configure(config); }

Config configuration() { return registry().configuration(); }

}  // namespace sherlock
