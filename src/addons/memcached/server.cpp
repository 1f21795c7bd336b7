// SPDX-License-Identifier: MIT
#include "addons/memcached/server.hpp"

#include <fmt/core.h>

#include <mutex>
#include <utility>

#include <sherlock/addons/memcached_lock.hpp>

#include "addons/common/failure.hpp"
#include "addons/common/forks.hpp"

namespace sherlock::addons::memcached {
namespace {

using std::chrono::seconds;

constexpr const char* kBackend = "memcached";
constexpr int kMostBroken = 3;                                 // connections, fresh ones, in one request
constexpr seconds kGrace{60};                                  // after which the server may forget a hold whose lease is over
constexpr seconds kRemembered = std::chrono::hours{24 * 7};    // what is known of a lock that nobody uses
constexpr seconds kLongest = std::chrono::hours{24 * 30 - 1};  // the server takes a longer one for a date

// When the server may forget what is written. Not with the lease: its clock ticks in whole seconds, and a request that it answers after it stood still is dated
// by the tick before that.
seconds kept(const Record& record) {
  if (!record.held) return kRemembered;
  if (!record.ttl || *record.ttl >= kLongest - kGrace) return seconds{0};
  return std::chrono::ceil<seconds>(*record.ttl) + kGrace;
}

}  // namespace

std::shared_ptr<Server> Server::of(std::string_view url) {
  // Never destroyed: locks may be let go while the process exits.
  static auto* const servers = new std::map<std::string, std::shared_ptr<Server>, std::less<>>;
  const std::lock_guard guard{shared()};
  const auto found = servers->find(url);
  if (found != servers->end()) return found->second;
  return servers->emplace(url, std::make_shared<Server>(parse_url(url, {"memcached", "memcached+unix"}, kBackend))).first->second;
}

Server::Server(Url url) : url_{std::move(url)} {
  const auto refuse = [this](const char* why) { throw ConfigurationException{fmt::format("\"{}\": {}", url_.shown(), why), {}, kBackend}; };
  if (url_.host.find(',') != std::string::npos) refuse("one server decides who has a lock: a pool of several is no place for locks");
  if (!url_.is_socket() && url_.path.size() > 1) refuse("there is nothing to say after the port");
  if (url_.take("sasl") || url_.take("auth")) refuse("there is no SASL: start the server with --auth-file, and give user and password");
  if (url_.user.empty() && (!url_.password.empty() || !url_.password_file.empty())) refuse("a password belongs to a user: memcached://user:password@host");
  // The server takes two words in a line.
  if ((url_.user + url_.password).find_first_of(" \r\n") != std::string::npos) refuse("user or password has a blank or a line break in it");
  refuse_others(url_, "none other", kBackend);
}

// What `ask` finds on a connection, and once more on a new one where that broke.
template <class Ask>
std::optional<Found> Server::answer(Deadline deadline, bool* asked_twice, Ask ask) {
  try {
    for (int broken = 0;;) {
      std::unique_ptr<Numbered> connection = idle_.take();
      const bool fresh = !connection;
      try {
        if (fresh) connection = std::make_unique<Numbered>(url_, deadline, made_);
        auto found = ask(*connection);
        idle_.give_back(std::move(connection));
        return found;
      } catch (const Broken&) {
        if (asked_twice) *asked_twice = true;
        // One that lay idle may have broken long ago: that says nothing of the server.
        if (fresh && ++broken == kMostBroken) throw;
      }
    }
  } catch (const Failure& e) {
    throw Failure{e.code(), fmt::format("{}: {}", url_.shown(), e.what()), e.cause()};
  }
}

std::optional<Found> Server::ask(Numbered& connection, const std::string& key, const Store* store, Deadline deadline) {
  const std::uint64_t connections = made_;
  const std::optional<Item> item = connection.ask(key, store, deadline);
  if (!item) return std::nullopt;
  auto record = decode_record(item->value);
  if (!record) throw Failure{Errc::damaged, fmt::format("item {} is none of ours: another program uses its key", key)};
  return Found{*std::move(record), item->cas, connections};
}

std::optional<Found> Server::get(const std::string& key, Deadline deadline) {
  return answer(deadline, nullptr, [&](Numbered& connection) { return ask(connection, key, nullptr, deadline); });
}

std::optional<Found> Server::write(const std::string& key, const std::optional<Found>& seen, const Record& next, Deadline deadline, bool* asked_twice) {
  const std::string text = encode(next);
  const Store store{.value = text, .cas = seen ? std::optional{seen->cas} : std::nullopt, .expire = kept(next)};
  return answer(deadline, asked_twice, [&](Numbered& connection) {
    // A connection that was made since may lead to a server that was started since, on which this number is another item's.
    if (seen && connection.number > seen->connections) {
      auto now = ask(connection, key, nullptr, deadline);
      if (!now || !now->unchanged_since(*seen)) return now;
    }
    auto found = ask(connection, key, &store, deadline);
    // Neither written by us nor changed by anybody else: it was not taken.
    if (found ? seen && found->cas == seen->cas : !seen) throw Failure{Errc::system, "it keeps nothing of what it is given: is its memory full?"};
    return found;
  });
}

std::shared_ptr<Sight> Server::sight(std::string_view key) {
  const std::lock_guard guard{shared()};
  std::weak_ptr<Sight>& known = sights_[std::string{key}];
  std::shared_ptr<Sight> sight = known.lock();
  if (!sight) known = sight = std::make_shared<Sight>();
  return sight;
}

void Server::close(std::string_view key, std::shared_ptr<Sight> sight) noexcept {
  const std::lock_guard guard{shared()};
  sight.reset();
  const auto known = sights_.find(key);
  if (known != sights_.end() && known->second.expired()) sights_.erase(known);
}

}  // namespace sherlock::addons::memcached

namespace sherlock {

MemcachedClient::MemcachedClient() : MemcachedClient{std::string_view{"memcached://localhost:11211"}} {}
MemcachedClient::MemcachedClient(std::string_view url) : server_{addons::memcached::Server::of(url)} {}
std::string MemcachedClient::text() const { return server_->url().shown(); }

}  // namespace sherlock
