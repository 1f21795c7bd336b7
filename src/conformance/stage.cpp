// SPDX-License-Identifier: MIT
#include "conformance/stage.hpp"

#include <unistd.h>

#include <random>
#include <utility>

#include "conformance/peer.hpp"

namespace sherlock::conformance {
namespace {

std::string new_ns() {
  std::random_device random;
  return "conformance-" + std::to_string(getpid()) + "-" + std::to_string(random());
}

}  // namespace

Stage::Stage(const Subject& subject, const Traits& traits) : subject_{subject}, traits_{traits}, ns_{new_ns()} {}

std::string Stage::name() { return "lock-" + std::to_string(++names_); }

// Everything is given, so that what the program has configured has no say.
Options Stage::filled(Options given) const {
  if (!given.ns) given.ns = ns_;
  if (!given.expire) given.expire = traits_.never ? never : Duration{std::chrono::seconds{60} + 10 * subject_.lease.ns()};
  if (!given.timeout) given.timeout = std::chrono::seconds{8} + 4 * subject_.lease.ns();
  if (!given.retry_interval) given.retry_interval = std::chrono::milliseconds{20};
  if (!given.label) given.label = "conformance";
  if (!given.on_lost) given.on_lost = [](const LockException&) {};
  return given;
}

std::unique_ptr<BaseLock> Stage::lock(const std::string& name, const Options& options) const {
  return make_lock(subject_, name, filled(options));
}

Other Stage::other(const std::string& name, const Options& options) const { return other(somebody(), name, options); }

Other Stage::other(const std::shared_ptr<Actor>& actor, const std::string& name, const Options& options) const {
  return Other{actor, name, filled(options)};
}

std::shared_ptr<Actor> Stage::somebody() const { return has_processes() ? Actor::process(subject_) : Actor::thread(subject_); }

}  // namespace sherlock::conformance
