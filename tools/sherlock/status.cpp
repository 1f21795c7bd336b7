// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include <sherlock/file_lock.hpp>

#include "commands.hpp"
#include "exit_codes.hpp"
#include "help.hpp"
#include "json.hpp"
#include "output.hpp"
#include "store.hpp"

namespace sherlock::cli {
namespace {

LockInfo look(const BaseLock& lock) {
  LockInfo info{.name = lock.name(), .ns = lock.ns(), .key = lock.key()};
  if (const auto* file = dynamic_cast<const FileLock*>(&lock)) info.path = file->path();
  info.holder = lock.holder();
  return info;
}

std::string in_words(const LockInfo& info, WallTime now, bool color) {
  std::string text;
  const auto line = [&text](const char* what, const std::string& value) { text += fmt::format("{:<9}{}\n", what, escape(value)); };
  line("lock", info.name);
  if (!info.ns.empty()) line("ns", info.ns);
  text += fmt::format("{:<9}{}{}{}\n", "state", color ? (info.holder ? "\x1b[33m" : "\x1b[32m") : "", info.holder ? "held" : "free",
                      color ? "\x1b[0m" : "");
  if (info.holder) {
    const Holder& holder = *info.holder;
    line("by", who(holder));
    if (!holder.label.empty()) line("label", holder.label);
    if (holder.since) line("since", fmt::format("{} ({} ago)", local_time(*holder.since), ago(now - *holder.since)));
    if (holder.expiry) line("until", fmt::format("{} (in {}) unless renewed", local_time(*holder.expiry), ago(*holder.expiry - now)));
    if (holder.fence) line("fence", std::to_string(*holder.fence));
    if (holder.waiting) line("waiting", std::to_string(*holder.waiting));
  }
  if (!info.path.empty()) line("path", info.path);
  return text;
}

}  // namespace

int status(Args args, Common common) {
  args.read_all(common);
  if (answered(common, kStatusHelp)) return EXIT_SUCCESS;
  const std::string name = args.take("LOCK");
  args.finish();

  const LockInfo info = look(*open_lock(common, name));
  const WallTime now = std::chrono::system_clock::now();
  if (common.json)
    print(json_line(to_json(info, now)));
  else if (!common.quiet)
    print(in_words(info, now, colored(common.color)));
  return info.holder ? kBusy : EXIT_SUCCESS;
}

}  // namespace sherlock::cli
