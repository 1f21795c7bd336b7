// SPDX-License-Identifier: MIT
// A proxy in front of a real server that makes the network's faults, when told: connections cut, refused, swallowed; replies late, held back, lost after
// their request was carried out. Knows no protocol. In a thread of its own; every call is for any thread of the process that made it, and has
// taken effect when it returns.
//
//   Proxy proxy{server.port()};                  // or the path of the server's socket
//   RedisLock lock{"x", {}, "redis://127.0.0.1:" + std::to_string(proxy.port())};
//   proxy.lose_reply(2);                         // the second request from now on is carried out, and its client sees the connection end
//
// A request is whatever a client sends until the server says something; a reply whatever the server says until the client sends again. They are counted
// over all connections together. What a client pipelines is one request.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <variant>

#include "addons/support/server.hpp"

namespace support {

class Proxy {
 public:
  using nanoseconds = std::chrono::nanoseconds;
  using Server = std::variant<int, std::string>;  // a port of loopback, or the path of a socket

  // Listens on a port of loopback. The server may come, go and come again.
  explicit Proxy(Server server);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  int port() const { return port_; }

  enum class Cut { close, reset };
  // Ends every connection there is: in good order, or as a machine does that knows nothing of it (RST).
  void cut(Cut how = Cut::close);
  // New connections are refused by the kernel from now on, or accepted again.
  void refuse(bool on);
  // Nothing passes in either direction, and new connections are accepted but lead nowhere, until switched off; then all goes on.
  void blackhole(bool on);
  // Every byte of a reply that comes from now on is passed on that much later; 0: at once.
  void delay(nanoseconds by);
  // Replies wait until let go.
  void hold(bool on);
  // A byte at a time, this far apart, in both directions; 0: as it comes.
  void throttle(nanoseconds apart);
  // The n-th request from now on (the first is 1) reaches the server; the reply does not come back, and its connection is cut. 0: none.
  void lose_reply(int n);
  // The n-th request from now on does not reach the server, and its connection is cut. 0: none.
  void lose_request(int n);
  // All of the above are switched off. Connections stay.
  void heal();

  int connections() const { return connections_; }  // accepted so far
  int open() const { return open_; }
  int requests() const { return requests_; }
  int replies() const { return replies_; }
  int lost() const { return lost_; }  // replies and requests, as they were told to be

 private:
  struct Burst {
    std::string bytes;
    nanoseconds due;
  };
  struct Flow {
    std::deque<Burst> queue;
    nanoseconds next_byte{};  // of a throttled flow
    bool ended = false;       // nothing more comes: passes on what there is, then the link ends
  };
  struct Link {
    int client, server;  // server -1: not connected yet
    Flow up{}, down{};
    enum { nobody, client_spoke, server_spoke } last = nobody;
    bool lose_reply = false;
    bool over = false;
  };

  void run(const std::stop_token& stop);
  void obey();
  void accept_all();
  bool connect_server(Link& link);
  void take(Link& link);
  void from_client(Link& link, std::string bytes);
  void from_server(Link& link, std::string bytes);
  void pass(Flow& flow, int to, Link& link, bool held);
  void end(Link& link, Cut how);
  void command(const std::function<void()>& change);

  const Server server_;
  int port_ = 0;
  int listener_ = -1, wake_[2] = {-1, -1};

  std::mutex mutex_;  // guards what is told, and how much of it was seen
  std::condition_variable obeyed_;
  std::uint64_t commands_ = 0, seen_ = 0;
  struct Told {
    bool refuse = false, blackhole = false, hold = false;
    nanoseconds delay{}, throttle{};
    int lose_reply = 0, lose_request = 0;  // how many requests away
    bool cut = false;
    Cut how = Cut::close;
  } told_;
  Told now_;  // of the thread
  bool listening_ = true;
  std::list<Link> links_;
  std::atomic<int> connections_{0}, open_{0}, requests_{0}, replies_{0}, lost_{0};
  std::jthread thread_;
};

}  // namespace support
