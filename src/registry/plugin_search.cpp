// SPDX-License-Identifier: MIT
#include "registry/plugin_search.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include <sherlock/registry.hpp>

#include "core/report.hpp"
#include "posix/trusted.hpp"

namespace sherlock {
namespace {

constexpr const char* kPath = "SHERLOCK_PLUGIN_PATH";
constexpr std::string_view kPrefix = "libsherlock-", kSuffix = ".so";

struct AddOn {
  std::string_view name, built_on;
};
// Those that come with sherlock, for whoever asks for one that is not there.
constexpr std::array kAddOns{AddOn{"elasticsearch", "libcurl and nlohmann_json"}, AddOn{"etcd", "libcurl and nlohmann_json"},
                             AddOn{"memcached", "libmemcached"}, AddOn{"postgres", "libpq"}, AddOn{"redis", "hiredis"}};

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto colon = std::min(path.find(':'), path.size());
    if (colon > 0) parts.emplace_back(path.substr(0, colon));
    path.remove_prefix(std::min(colon + 1, path.size()));
  }
  return parts;
}

// Of the variable, that which is not looked at, and why. Empty where all of it is.
std::string ignored_part() {
  const char* const path = std::getenv(kPath);
  if (!path || !*path) return {};
  if (posix::privileged()) return fmt::format("; {} is not followed, because this program has more rights than its user", kPath);
  std::vector<std::string> relative = parts_of(path);
  std::erase_if(relative, [](const std::string& part) { return part.front() == '/'; });
  if (relative.empty()) return {};
  return fmt::format("; of {}, not in {}, which is no absolute path", kPath, detail::printable(fmt::format("{}", fmt::join(relative, ":"))));
}

}  // namespace

bool detail::is_backend_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  return !name.empty() && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::vector<std::string> detail::plugin_directories() {
  std::vector<std::string> all;
  if (const char* const path = secure_getenv(kPath)) all = parts_of(path);
  std::erase_if(all, [](const std::string& part) { return part.front() != '/'; });
  all.push_back(compiled_in_plugin_directory());
  return all;
}

std::string detail::plugin_file_name(std::string_view backend) { return fmt::format("{}{}{}", kPrefix, backend, kSuffix); }

std::string detail::where_to_get(std::string_view backend) {
  if (!is_backend_name(backend)) return {};
  const auto known = std::ranges::find(kAddOns, backend, &AddOn::name);
  const std::string directories = printable(fmt::format("{}", fmt::join(plugin_directories(), " or ")));
  const std::string places = fmt::format("{} in {}{}", plugin_file_name(backend), directories, ignored_part());
  if (known == kAddOns.end()) return fmt::format(", and no plug-in {}", places);
  return fmt::format(": it is an add-on of sherlock, and there is no {}; sherlock builds it (option addons={}) where it finds {}", places,
                     backend, known->built_on);
}

std::vector<PluginFile> plugin_files() {
  std::vector<PluginFile> all;
  for (const std::string& directory : detail::plugin_directories()) {
    std::error_code missing;  // most have none
    for (std::filesystem::directory_iterator entry{directory, missing}, end; !missing && entry != end; entry.increment(missing)) {
      const std::string file = entry->path().filename().string();
      std::string_view name = file;
      if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix) || name.size() < kPrefix.size() + kSuffix.size()) continue;
      name = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
      const bool hidden = std::ranges::find(all, name, &PluginFile::backend) != all.end();  // by one that is found before it
      if (detail::is_backend_name(name) && !hidden) all.push_back({.backend = std::string{name}, .path = entry->path().string()});
    }
  }
  std::ranges::sort(all, {}, &PluginFile::backend);
  return all;
}

}  // namespace sherlock
