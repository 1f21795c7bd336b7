// SPDX-License-Identifier: MIT
#include "contender.hpp"

#include "peers.hpp"
#include "peers_boost.hpp"
#include "peers_sqlite.hpp"

namespace bench {
namespace {

template <class Lock>
Kind of(const char* name, const std::string& path, bool dies_held = false) {
  return {.name = name, .make = [path] { return std::make_unique<Of<Lock>>(path); }, .dies_held = dies_held};
}

}  // namespace

Kind sherlock(const stress::Store& store, std::string name, sherlock::Options options) {
  const std::string title = "sherlock " + store.backend().name() + (options.expire ? ", leased" : "");
  return {.name = title, .make = [&store, name = std::move(name), options = std::move(options)]() -> std::unique_ptr<Contender> {
            sherlock::Registry registry;  // as the process-wide one would be configured, which nothing here changes
            registry.add(store.backend());
            registry.configure({.backend = store.backend().name(), .client = store.client()});
            return std::make_unique<Of<sherlock::Lock>>(name, options, registry);
          }};
}

Kind peer(Peer which, const std::string& path) {
  switch (which) {
    case Peer::cas: return of<CasWord>("CAS word", path + ".cas", true);
    case Peer::futex: return of<FutexWord>("futex word", path + ".futex", true);
    case Peer::robust: return of<RobustMutex>("pthread robust mutex", path + ".robust");
    case Peer::boost: return of<BoostNamedMutex>("Boost named_mutex", path + ".named", true);
    case Peer::flock: return of<Flock>("flock(2)", path + ".flock");
    case Peer::ofd: return of<OpenFileDescription>("OFD lock", path + ".ofd");
    case Peer::boost_file: return of<BoostFileLock>("Boost file_lock", path + ".boost");
    case Peer::rows: return of<SqliteRows>("bare SQLite rows", path + ".rows.db");
    case Peer::begin: return of<SqliteBegin>("SQLite BEGIN IMMEDIATE", path + ".begin.db");
  }
  return {};
}

std::vector<Kind> peers(const std::vector<Peer>& which, const std::string& path) {
  std::vector<Kind> kinds;
  for (const Peer one : which) kinds.push_back(peer(one, path));
  return kinds;
}

}  // namespace bench
