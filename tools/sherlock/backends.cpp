// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <sherlock/error.hpp>
#include <sherlock/registry.hpp>

#include "commands.hpp"
#include "help.hpp"
#include "json.hpp"
#include "output.hpp"
#include "text.hpp"

namespace sherlock::cli {
namespace {

std::string promises(const Backend& backend) {
  const Traits& traits = backend.traits();
  std::string text;
  const auto add = [&text](bool kept, const char* what) {
    if (kept) text += (text.empty() ? "" : ", ") + std::string{what};
  };
  add(traits.sees_death, "sees death");
  add(traits.fences, "fences");
  add(traits.wakes, "wakes");
  add(traits.fair, "fair");
  add(traits.never, "holds without end");
  add(backend.can_list(), "lists");
  add(backend.can_clean(), "cleans");
  return text;
}

const char* between(Scope scope) {
  switch (scope) {
    case Scope::process: return "process";
    case Scope::host: return "host";
    case Scope::network: break;
  }
  return "network";
}

// Loads what is installed, for only its code knows what it promises. Of each that is taken, its path by its name; the others are told of.
std::map<std::string, std::string> load_plugins(Table& unusable, Json& refused) {
  std::map<std::string, std::string> taken;
  const std::vector<std::string> registered = registry().names();
  for (const PluginFile& plugin : plugin_files()) {
    try {
      if (std::ranges::find(registered, plugin.backend) != registered.end())
        throw ConfigurationException{"the plug-in " + plugin.path + " is not looked at: the library has a backend of that name itself"};
      static_cast<void>(registry().find(plugin.backend));
      taken.emplace(plugin.backend, plugin.path);
    } catch (const ConfigurationException& e) {
      unusable.add({plugin.backend, e.what()});
      refused.push_back({{"name", plugin.backend}, {"plugin", plugin.path}, {"why", e.what()}});
    }
  }
  return taken;
}

}  // namespace

int backends(Args args, Common common) {
  args.read_all(common);
  if (answered(common, kBackendsHelp)) return EXIT_SUCCESS;
  args.finish();

  Json all = Json::array(), refused = Json::array();
  Table table{{"NAME", "CLIENT", "WITHIN A", "EXPIRES", "PROMISES"}}, unusable{{"REFUSED", "WHY"}};
  const std::map<std::string, std::string> plugins = load_plugins(unusable, refused);
  for (const std::string& name : registry().names()) {
    const Backend backend = registry().find(name);
    const std::string& client = backend.default_client();
    const auto plugin = plugins.find(name);
    table.add(
        {name, client.empty() ? "-" : client, between(backend.traits().scope), backend.traits().default_expire.text(), promises(backend)});
    all.push_back({{"name", name},
                   {"library", backend.library().empty() ? Json(nullptr) : Json(backend.library())},
                   {"plugin", plugin == plugins.end() ? Json(nullptr) : Json(plugin->second)},
                   {"client", client.empty() ? Json(nullptr) : Json(client)},
                   {"lists", backend.can_list()},
                   {"cleans", backend.can_clean()},
                   {"traits", to_json(backend.traits())}});
  }
  const std::string_view style = colored(common.color) ? "\x1b[1m" : "";
  const std::string more = refused.empty() ? "" : '\n' + unusable.text(style);
  print(common.json ? json_line({{"backends", std::move(all)}, {"refused", std::move(refused)}}) : table.text(style) + more);
  return EXIT_SUCCESS;
}

}  // namespace sherlock::cli
