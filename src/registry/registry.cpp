// SPDX-License-Identifier: MIT
#include <sherlock/registry.hpp>

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <mutex>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/defaults.hpp"
#include "core/report.hpp"
#include "registry/plugin_search.hpp"

namespace sherlock {

namespace {

[[noreturn]] void refuse(std::string_view backend, const std::string& text) { throw ConfigurationException{text, {}, backend}; }

std::string known(const std::vector<std::string>& names) {
  if (names.empty()) return "none is registered: add one with registry.add(sherlock::backend<L>({.name = ...}))";
  return fmt::format("known: {}", fmt::join(names, ", "));
}

// Everything is filled in, so that BaseLock has no reason to look at the process-wide configuration: a lock of a fresh registry
// owes it nothing, and one of the process-wide registry gets all its options from one snapshot.
Options filled(Options given, const Config& config, const Traits& traits) {
  if (!given.ns) given.ns = config.ns.value_or("");
  if (!given.expire) given.expire = config.expire.value_or(traits.default_expire);
  if (!given.timeout) given.timeout = config.timeout.value_or(Duration{detail::kDefaultTimeout});
  if (!given.retry_interval) given.retry_interval = config.retry_interval.value_or(Duration{detail::kDefaultRetryInterval});
  if (!given.label) given.label = config.label ? *config.label : detail::program_name();
  if (!given.on_lost) given.on_lost = config.on_lost;
  if (!given.on_lost) given.on_lost = [](const LockException&) {};
  return given;
}

}  // namespace

std::string detail::type_name(const std::type_info& type) {
  if (type == typeid(std::string)) return "std::string";  // spelled out it is four lines long
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> readable{abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free};
  return status == 0 ? readable.get() : type.name();
}

std::any Backend::convert(const AnyClient& client) const {
  if (auto converted = convert_(client)) return *std::move(converted);
  if (const std::string* text = client.text())
    refuse(name(), fmt::format("backend \"{}\" takes no text for a client, but was given \"{}\": give it a {}", name(),
                               detail::printable(*text), client_type_));
  refuse(name(), fmt::format("backend \"{}\" takes a client of type {}, but was given a {}", name(), client_type_,
                             detail::type_name(client.value().type())));
}

std::any Backend::resolve(const AnyClient& client) const {
  if (!client.empty()) return convert(client);
  if (!default_client().empty()) return convert(default_client());
  if (default_made_) return default_made_();
  refuse(name(), fmt::format("backend \"{0}\" has no default client: give one, a {1}, as in "
                             "configure({{.backend = \"{0}\", .client = ...}})",
                             name(), client_type_));
}

void Backend::check(const AnyClient& client) const { static_cast<void>(resolve(client)); }

std::unique_ptr<BaseLock> Backend::make(std::string name, Options options, const AnyClient& client) const {
  return make_(std::move(name), std::move(options), resolve(client));
}

std::vector<LockInfo> Backend::list(const AnyClient& client) const {
  if (!list_) refuse(name(), fmt::format("backend \"{}\" cannot list its locks", name()));
  return list_(resolve(client));
}

std::size_t Backend::clean(const AnyClient& client) const {
  if (!clean_) refuse(name(), fmt::format("backend \"{}\" has nothing to clean", name()));
  return clean_(resolve(client));
}

Registry::Registry() : config_{std::make_shared<const Config>()} {}
Registry::~Registry() = default;

void Registry::add(Backend backend) {
  if (!detail::is_backend_name(backend.name()))
    refuse(backend.name(), fmt::format("\"{}\" cannot be the name of a backend: use one or more of a-z, 0-9, _ and -",
                                       detail::printable(backend.name())));
  const std::lock_guard guard{mutex_};
  const auto place = std::ranges::lower_bound(backends_, backend.name(), {}, &Backend::name);
  if (place != backends_.end() && place->name() == backend.name())
    refuse(backend.name(), fmt::format("there is a backend \"{}\" already: register yours under another name", backend.name()));
  backends_.insert(place, std::move(backend));
}

std::optional<Backend> Registry::registered(std::string_view name) const {
  const std::lock_guard guard{mutex_};
  const auto place = std::ranges::lower_bound(backends_, name, {}, &Backend::name);
  return place != backends_.end() && place->name() == name ? std::optional{*place} : std::nullopt;
}

Backend Registry::find(std::string_view name) const {
  if (auto found = registered(name)) return *std::move(found);
  if (load_plugin_of(name))
    if (auto found = registered(name)) return *std::move(found);
  refuse(name, fmt::format("there is no backend \"{}\"{} ({})", detail::printable(name), detail::where_to_get(name), known(names())));
}

std::vector<std::string> Registry::names() const {
  const std::lock_guard guard{mutex_};
  std::vector<std::string> names;
  std::ranges::transform(backends_, std::back_inserter(names), &Backend::name);
  return names;
}

std::shared_ptr<const Config> Registry::snapshot() const {
  const std::lock_guard guard{mutex_};
  return config_;
}

std::unique_ptr<BaseLock> Registry::make(std::string name, Options options) const {
  const auto config = snapshot();
  if (!config->backend)
    throw ConfigurationException{
        fmt::format("no backend is configured: call configure({{.backend = ...}}) before a Lock is made ({})", known(names())), name};
  const Backend backend = find(*config->backend);
  return backend.make(std::move(name), filled(std::move(options), *config, backend.traits()), config->client);
}

}  // namespace sherlock
