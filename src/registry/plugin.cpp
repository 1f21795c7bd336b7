// SPDX-License-Identifier: MIT
// What a registry does with plug-ins. Code of theirs runs while no mutex of ours is held; what it has added is taken over in one step.
#include <sherlock/registry.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include "core/report.hpp"
#include "posix/file.hpp"
#include "posix/trusted.hpp"
#include "registry/plugin_library.hpp"
#include "registry/plugin_note.hpp"
#include "registry/plugin_search.hpp"

namespace sherlock {

using detail::PluginRefused;

namespace {

[[noreturn]] void refuse(const std::string& path, std::string why, std::string_view backend) {
  if (why.starts_with(path + ' ')) why.replace(0, path.size(), "it");
  throw ConfigurationException{fmt::format("the plug-in {} is refused: {}", detail::printable(path), detail::printable(why)), {}, backend};
}

}  // namespace

// Nothing: there is no such file.
std::optional<std::vector<std::string>> Registry::load_from(const std::string& directory, const std::string& file,
                                                               std::string_view asked) const {
  const std::string path = directory + '/' + file;
  try {
    const posix::UniqueFd opened = posix::open_trusted(directory, file);
    if (!opened) return std::nullopt;
    const detail::PluginLibrary library{opened};
    if (const auto known = names_of(library.id())) return known;
    Registry added;
    library.add_to(added);
    return take_over(library.id(), added, asked);
  } catch (const posix::Unsafe& e) {
    refuse(path, e.what(), asked);
  } catch (const PluginRefused& e) {
    refuse(path, e.what(), asked);
  } catch (const std::system_error& e) {
    refuse(path, e.what(), asked);
  }
}

std::optional<std::vector<std::string>> Registry::names_of(const void* library) const {
  const std::lock_guard guard{mutex_};
  const auto found = std::ranges::find(plugins_, library, &Plugin::library);
  return found != plugins_.end() ? std::optional{found->names} : std::nullopt;
}

std::vector<std::string> Registry::take_over(const void* library, Registry& from, std::string_view asked) const {
  std::vector<Backend> added;  // what is left of it ends with code of the plug-in, so after our mutex
  {
    const std::lock_guard guard{from.mutex_};
    added.swap(from.backends_);
  }
  if (added.empty()) throw PluginRefused{"it adds no backend: its SHERLOCK_PLUGIN has to call registry.add(...)"};
  for (const Backend& backend : added)
    if (!asked.empty() && backend.name() != asked)
      throw PluginRefused{fmt::format("it adds a backend \"{}\", and its file is named as one that adds \"{}\": call it {}", backend.name(),
                                      asked, detail::plugin_file_name(backend.name()))};
  Plugin plugin{.library = library};
  std::ranges::transform(added, std::back_inserter(plugin.names), &Backend::name);

  const std::lock_guard guard{mutex_};
  const auto known = std::ranges::find(plugins_, library, &Plugin::library);
  if (known != plugins_.end()) return known->names;  // another thread was faster with the same file
  std::vector<Backend> all = backends_;
  for (const Backend& backend : added) {
    const auto place = std::ranges::lower_bound(all, backend.name(), {}, &Backend::name);
    const bool taken = place != all.end() && place->name() == backend.name();
    if (taken && !asked.empty()) return plugin.names;  // somebody has registered one meanwhile: there is one, as was asked
    if (taken)
      throw PluginRefused{fmt::format("it adds a backend \"{}\", and there is one already", backend.name())};
    all.insert(place, backend);
  }
  plugins_.push_back(plugin);
  backends_.swap(all);
  return plugin.names;
}

std::vector<std::string> Registry::load(const std::string& path) {
  const std::string absolute = posix::absolute_path(path);
  const auto slash = absolute.rfind('/');
  if (auto names = load_from(slash == 0 ? "/" : absolute.substr(0, slash), absolute.substr(slash + 1), {})) return *std::move(names);
  throw ConfigurationException{fmt::format("there is no plug-in {}", detail::printable(absolute))};
}

// The first file of that name decides: one that is refused does not make room for another.
bool Registry::load_plugin_of(std::string_view backend) const {
  if (!detail::is_backend_name(backend)) return false;
  for (const std::string& directory : detail::plugin_directories())
    if (load_from(directory, detail::plugin_file_name(backend), backend)) return true;
  return false;
}

}  // namespace sherlock
