// SPDX-License-Identifier: MIT
// A server, as all locks of one URL in this process see it: connections, and statements that are asked through them.
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "addons/common/pool.hpp"
#include "addons/postgres/connection.hpp"
#include "addons/postgres/settings.hpp"

namespace sherlock::addons::postgres {

class Server {
 public:
  // The one of this URL, which lives as long as the process. ConfigurationException.
  static std::shared_ptr<Server> of(std::string_view url);

  explicit Server(std::string_view url);

  const Settings& settings() const { return settings_; }

  // The rows that the server answers, of `columns` columns; never an error of its own, which is a Failure. Asked again on a new connection where one broke:
  // whatever is asked must bear that. A table that is missing is made.
  // `asked_twice` becomes true where a connection broke: then it may have been done in between.
  Result run(Verb verb, std::initializer_list<Argument> arguments, int columns, Deadline deadline, bool* asked_twice = nullptr);
  // Of a verb, for this table.
  const std::string& statement(Verb verb) const { return statements_[static_cast<std::size_t>(verb)]; }
  // How many rows went.
  std::size_t clean(Deadline deadline);
  // Failure (damaged): it answered something that it cannot have been asked.
  [[noreturn]] void bad_answer() const;

  // Connections for listeners, apart from those for requests.
  std::unique_ptr<Connection> connect(Deadline deadline) const;
  Pool<Connection>& listeners() { return listeners_; }

 private:
  template <class Call>
  Result answer(Deadline deadline, bool* asked_twice, Call call);
  void create(Connection& connection, Deadline deadline) const;

  const Settings settings_;
  std::array<std::string, kVerbs> statements_;
  Pool<Connection> idle_, listeners_;
};

// A number for a text, the same everywhere and for ever.
constexpr std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace sherlock::addons::postgres
