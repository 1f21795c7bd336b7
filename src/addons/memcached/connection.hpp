// SPDX-License-Identifier: MIT
// One connection: a request out, its answer in. libmemcached writes and reads the protocol, the socket and its deadlines are ours.
//
// libmemcached knows no sockets but those it makes itself, and gives an answer that comes byte by byte a new timeout for every byte. So it is connected to us, through a
// socket of this host: what it sends there is sent on to the server, and what the server answers is given to it when all of it has come.
#pragma once

#include <libmemcached/memcached.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "addons/common/deadline.hpp"
#include "addons/common/socket.hpp"
#include "addons/common/url.hpp"

namespace sherlock::addons::memcached {

struct Item {
  std::string value;
  std::uint64_t cas = 0;
};

// What is to be written, and on which condition.
struct Store {
  std::string_view value;
  std::optional<std::uint64_t> cas;  // of the item that is there; nothing: there is none
  std::chrono::seconds expire{};     // until the server forgets it; 0: as late as it can
};

class Connection {
 public:
  // Connects, and says who we are. Failure where that does not work by the deadline.
  Connection(const Url& url, Deadline deadline);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Stores if told to, and then reads: both are sent at once, the answer is what is there afterwards. Broken or Failure: the connection is of no use any more.
  std::optional<Item> ask(const std::string& key, const Store* store, Deadline deadline);

  // Gives it up without a byte to the server or to the parent's libmemcached.
  void close() noexcept;

 private:
  void open_way();
  std::string written();
  void greet(const Url& url, Deadline deadline);
  std::string receive(Deadline deadline, std::size_t (*length)(std::string_view));
  std::optional<Item> read(const std::string& key, std::string_view answer);

  // libmemcached, and our end of the way to it.
  struct Client {
    memcached_st* library = nullptr;
    int way = -1;
    Client() = default;
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
  };

  Socket socket_;
  Client client_;
};

}  // namespace sherlock::addons::memcached
