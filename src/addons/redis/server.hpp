// SPDX-License-Identifier: MIT
// A server, as all locks of one URL in this process see it: connections, and scripts that are asked through them.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "addons/common/pool.hpp"
#include "addons/common/url.hpp"
#include "addons/redis/connection.hpp"
#include "addons/redis/scripts.hpp"

namespace sherlock::addons::redis {

class Server {
 public:
  // The one of this URL, which lives as long as the process. ConfigurationException.
  static std::shared_ptr<Server> of(std::string_view url);

  explicit Server(Url url);

  const Url& url() const { return url_; }
  bool python() const { return python_; }

  // What the server answers; never an error of its own, which is a Failure. Asked again on a new connection where one broke: whatever is asked must bear that.
  Reply ask(std::initializer_list<std::string_view> words, Deadline deadline);
  Reply run(const Script& script, std::string_view lock, std::string_view past, std::initializer_list<std::string_view> args,
            Deadline deadline);
  // Failure (damaged): it answered something that it cannot have been asked.
  [[noreturn]] void bad_answer() const;

  // Connections for listeners, apart from those for requests: what is still under way on one is told apart there.
  std::unique_ptr<Connection> connect(Deadline deadline) const;
  Pool<Connection>& listeners() { return listeners_; }

 private:
  template <class Call>
  auto named(Call call) const -> decltype(call());
  Reply answer(std::span<const std::string_view> words, Deadline deadline);
  bool is_good(const redisReply& reply);

  Url url_;
  int db_ = 0;
  bool python_ = false;
  Pool<Connection> idle_, listeners_;
};

}  // namespace sherlock::addons::redis
