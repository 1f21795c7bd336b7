// SPDX-License-Identifier: MIT
#include "json.hpp"

#include <chrono>
#include <optional>

#include "store.hpp"

namespace sherlock::cli {
namespace {

// Json(x), never Json{x}: that would be a list of one x.
std::int64_t milliseconds(std::chrono::nanoseconds length) { return std::chrono::floor<std::chrono::milliseconds>(length).count(); }

template <class T>
Json known(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json known(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json to_json(const Holder& holder, WallTime now) {
  return {{"pid", known(holder.pid)},
          {"uid", known(holder.uid)},
          {"user", holder.uid ? Json(user_name(*holder.uid)) : Json(nullptr)},
          {"host", known(holder.host)},
          {"program", known(holder.program)},
          {"label", known(holder.label)},
          {"since", holder.since ? Json(utc_time(*holder.since)) : Json(nullptr)},
          {"held_ms", holder.since ? Json(milliseconds(now - *holder.since)) : Json(nullptr)},
          {"expiry", holder.expiry ? Json(utc_time(*holder.expiry)) : Json(nullptr)},
          {"expires_in_ms", holder.expiry ? Json(milliseconds(*holder.expiry - now)) : Json(nullptr)},
          {"fence", holder.fence ? Json(std::to_string(*holder.fence)) : Json(nullptr)},
          {"waiting", known(holder.waiting)}};
}

}  // namespace

Json to_json(const LockInfo& lock, WallTime now) {
  return {{"name", lock.name},
          {"ns", lock.ns},
          {"key", lock.key},
          {"path", known(lock.path)},
          {"held", lock.holder.has_value()},
          {"holder", lock.holder ? to_json(*lock.holder, now) : Json(nullptr)}};
}

Json to_json(const Traits& traits) {
  const Duration expire = traits.default_expire;
  return {{"sees_death", traits.sees_death},
          {"fences", traits.fences},
          {"wakes", traits.wakes},
          {"fair", traits.fair},
          {"never", traits.never},
          {"scope", traits.scope == Scope::process ? "process"
                    : traits.scope == Scope::host  ? "host"
                                                   : "network"},
          {"default_expire_ms", expire.is_infinite() ? Json(nullptr) : Json(milliseconds(expire.ns()))}};
}

std::string json_line(Json members) {
  Json all{{"version", 1}};
  all.update(members);
  return all.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace sherlock::cli
