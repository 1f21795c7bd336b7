// SPDX-License-Identifier: MIT
#include "store.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <climits>
#include <utility>
#include <vector>

#include <sherlock/registry.hpp>

namespace sherlock::cli {
namespace {

bool is_this_host(const std::string& host) {
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, sizeof name - 1) == 0 && host == name;
}

}  // namespace

std::unique_ptr<BaseLock> open_lock(const Common& common, const std::string& name, Options options) {
  options.ns = common.ns;
  return registry().find(common.backend).make(name, std::move(options), common.client);
}

std::string user_name(std::int64_t uid) {
  std::vector<char> space(16384);
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(static_cast<uid_t>(uid), &entry, space.data(), space.size(), &found);
  return found ? entry.pw_name : fmt::format("uid {}", uid);
}

std::string who(const Holder& holder) {
  std::string facts;
  if (holder.pid) facts = fmt::format("pid {}", *holder.pid);
  if (holder.uid) facts += (facts.empty() ? "" : ", ") + user_name(*holder.uid);
  if (!holder.host.empty() && !is_this_host(holder.host)) facts += " on " + holder.host;
  if (holder.program.empty() && facts.empty()) return "another program";
  const std::string program = holder.program.empty() ? "somebody" : holder.program;
  return facts.empty() ? program : fmt::format("{} ({})", program, facts);
}

std::string held_by(const Holder& holder, WallTime now) {
  std::string text = "held by " + who(holder);
  if (holder.since) text += " for " + ago(now - *holder.since);
  if (!holder.label.empty()) text += ", \"" + holder.label + '"';
  return escape(text);
}

}  // namespace sherlock::cli
