// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <string>

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

}  // namespace

int backends(Args args, Common common) {
  args.read_all(common);
  if (answered(common, kBackendsHelp)) return EXIT_SUCCESS;
  args.finish();

  Json all = Json::array();
  Table table{{"NAME", "CLIENT", "WITHIN A", "EXPIRES", "PROMISES"}};
  for (const std::string& name : registry().names()) {
    const Backend backend = registry().find(name);
    const std::string& client = backend.default_client();
    table.add(
        {name, client.empty() ? "-" : client, between(backend.traits().scope), backend.traits().default_expire.text(), promises(backend)});
    all.push_back({{"name", name},
                   {"library", backend.library().empty() ? Json(nullptr) : Json(backend.library())},
                   {"client", client.empty() ? Json(nullptr) : Json(client)},
                   {"lists", backend.can_list()},
                   {"cleans", backend.can_clean()},
                   {"traits", to_json(backend.traits())}});
  }
  print(common.json ? json_line({{"backends", std::move(all)}}) : table.text(colored(common.color) ? "\x1b[1m" : ""));
  return EXIT_SUCCESS;
}

}  // namespace sherlock::cli
