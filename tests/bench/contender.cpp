// SPDX-License-Identifier: MIT
#include "contender.hpp"

#include "peers.hpp"

namespace bench {
namespace {

template <class Peer>
Kind peer(const char* what, const std::string& path) {
  return {what, [path] { return std::make_unique<Of<Peer>>(path); }};
}

}  // namespace

Kind sherlock(const stress::Store& store, std::string name, sherlock::Options options) {
  const std::string title = options.expire ? "sherlock, with a lease" : "sherlock";
  return {title, [&store, name = std::move(name), options = std::move(options)]() -> std::unique_ptr<Contender> {
            sherlock::Registry registry;  // as the process-wide one would be configured, which nothing here changes
            registry.add(store.backend());
            registry.configure({.backend = store.backend().name(), .client = store.client()});
            return std::make_unique<Of<sherlock::Lock>>(name, options, registry);
          }};
}

std::vector<Kind> anchors(const stress::Store& store, For what, const std::string& name) {
  if (store.is_files()) return {peer<Flock>("flock(2)", store.beside(name + ".flock"))};
  const Kind robust = peer<RobustMutex>("robust mutex", store.beside(name + ".robust"));
  const Kind futex = peer<FutexWord>("futex word", store.beside(name + ".futex"));
  return what == For::waiting ? std::vector{futex, robust} : std::vector{robust};
}

}  // namespace bench
