// SPDX-License-Identifier: MIT
// A server, as all locks of one URL in this process see it: connections, and what is seen of its locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "addons/common/pool.hpp"
#include "addons/common/url.hpp"
#include "addons/memcached/connection.hpp"
#include "addons/memcached/record.hpp"

namespace sherlock::addons::memcached {

class Server {
 public:
  // The one of this URL, which lives as long as the process. ConfigurationException.
  static std::shared_ptr<Server> of(std::string_view url);

  explicit Server(Url url);

  const Url& url() const { return url_; }

  // Both throw Failure. Asked again on a new connection where one broke: a write that was done, and whose answer was lost, is then found by its text.
  std::optional<Found> get(const std::string& key, Deadline deadline);
  // The atomic step: writes where the item is what it was seen to be, or still missing, and nothing else. What is there afterwards. `asked_twice` becomes true where
  // a connection broke: then it may have been done in between.
  std::optional<Found> write(const std::string& key, const std::optional<Found>& seen, const Record& next, Deadline deadline, bool* asked_twice = nullptr);

  // What the locks of one key share in this process, while there is one of them. Read and written with shared() held.
  std::shared_ptr<Sight> sight(std::string_view key);
  void close(std::string_view key, std::shared_ptr<Sight> sight) noexcept;

 private:
  struct Numbered : Connection {
    Numbered(const Url& url, Deadline deadline, std::atomic<std::uint64_t>& made) : Connection{url, deadline}, number{++made} {}
    const std::uint64_t number;
  };

  template <class Ask>
  std::optional<Found> answer(Deadline deadline, bool* asked_twice, Ask ask);
  std::optional<Found> ask(Numbered& connection, const std::string& key, const Store* store, Deadline deadline);

  Url url_;
  std::atomic<std::uint64_t> made_{0};
  Pool<Numbered> idle_;
  std::map<std::string, std::weak_ptr<Sight>, std::less<>> sights_;
};

}  // namespace sherlock::addons::memcached
