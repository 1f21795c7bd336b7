// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

#include <sherlock/error.hpp>
#include <sherlock/registry.hpp>

#include "commands.hpp"
#include "help.hpp"
#include "json.hpp"
#include "output.hpp"
#include "store.hpp"

namespace sherlock::cli {
namespace {

std::string in_words(const std::vector<LockInfo>& locks, WallTime now, bool color) {
  const bool with_ns = std::any_of(locks.begin(), locks.end(), [](const LockInfo& lock) { return !lock.ns.empty(); });
  const auto row = [with_ns](std::string name, std::string ns, std::vector<std::string> others) {
    if (with_ns) others.insert(others.begin(), std::move(ns));
    others.insert(others.begin(), std::move(name));
    return others;
  };

  Table table{row("NAME", "NS", {"STATE", "PID", "USER", "PROGRAM", "FOR", "EXPIRES", "WAITING", "LABEL"})};
  for (const LockInfo& lock : locks) {
    const Holder holder = lock.holder.value_or(Holder{});
    const bool known = !lock.holder || holder.pid || !holder.program.empty();
    table.add(row(lock.name, lock.ns,
                  {lock.holder ? "held" : "free", holder.pid ? std::to_string(*holder.pid) : "", holder.uid ? user_name(*holder.uid) : "",
                   known ? holder.program : "another program", holder.since ? ago(now - *holder.since) : "",
                   holder.expiry ? "in " + ago(*holder.expiry - now) : "", holder.waiting ? std::to_string(*holder.waiting) : "", holder.label}));
  }
  return table.text(color ? "\x1b[1m" : "");
}

}  // namespace

int list(Args args, Common common) {
  bool only_held = false;
  args.read_all(common, "", {{"held", no_argument, nullptr, 'h'}}, [&](int, const char*) { only_held = true; });
  if (answered(common, kListHelp)) return EXIT_SUCCESS;
  const std::string glob = args.empty() ? "*" : args.take("GLOB");
  args.finish();

  const Backend backend = registry().find(common.backend);
  if (!backend.can_list())
    throw BackendException{Errc::unavailable,
                           fmt::format("backend {} keeps no list of its locks; ask for one by name: sherlock status LOCK", backend.name())};
  std::vector<LockInfo> locks = backend.list(common.client);
  std::erase_if(locks, [&](const LockInfo& lock) {
    return (only_held && !lock.holder) || (common.ns && lock.ns != *common.ns) || ::fnmatch(glob.c_str(), lock.name.c_str(), 0) != 0;
  });
  std::sort(locks.begin(), locks.end(),
            [](const LockInfo& a, const LockInfo& b) { return std::tie(a.ns, a.name) < std::tie(b.ns, b.name); });

  const WallTime now = std::chrono::system_clock::now();
  if (common.json) {
    Json all = Json::array();
    for (const LockInfo& lock : locks) all.push_back(to_json(lock, now));
    print(json_line({{"backend", backend.name()}, {"locks", std::move(all)}}));
  } else if (!locks.empty()) {
    print(in_words(locks, now, colored(common.color)));
  } else if (!common.quiet) {
    complain("no such lock in this store");
  }
  return EXIT_SUCCESS;
}

}  // namespace sherlock::cli
