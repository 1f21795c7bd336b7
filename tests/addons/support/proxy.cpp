// SPDX-License-Identifier: MIT
#include "addons/support/proxy.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace support {
namespace {

using std::chrono::nanoseconds;
constexpr std::size_t kMost = 1000;  // bursts that wait for somebody who does not read

nanoseconds now() { return std::chrono::steady_clock::now().time_since_epoch(); }

[[noreturn]] void fail(const char* what) { throw std::system_error{errno, std::generic_category(), what}; }

// Bound, not listening: while it is shut its port stays ours, and the kernel refuses who comes.
int bound_socket(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
  const sockaddr_in address = detail::loopback(port);
  if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("a proxy's port");
  return fd;
}

void at_once(int fd) {
  const int yes = 1;
  static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes));
}

}  // namespace

Proxy::Proxy(Server server) : server_{std::move(server)} {
  port_ = free_port();
  listener_ = bound_socket(port_);
  if (::listen(listener_, 100) != 0 || ::pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) fail("a proxy");
  thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
}

Proxy::~Proxy() {
  thread_.request_stop();
  static_cast<void>(!::write(wake_[1], ".", 1));
  thread_ = {};
  for (const int fd : {listener_, wake_[0], wake_[1]}) ::close(fd);
}

// ------------------------------------------------------------------------------------------------------------ what is told

void Proxy::command(const std::function<void()>& change) {
  std::unique_lock guard{mutex_};
  change();
  const std::uint64_t told = ++commands_;
  static_cast<void>(!::write(wake_[1], ".", 1));  // full: it will look anyway
  obeyed_.wait(guard, [&] { return seen_ >= told; });
}

void Proxy::cut(Cut how) {
  command([&] { told_.cut = true, told_.how = how; });
}
void Proxy::refuse(bool on) {
  command([&] { told_.refuse = on; });
}
void Proxy::blackhole(bool on) {
  command([&] { told_.blackhole = on; });
}
void Proxy::delay(nanoseconds by) {
  command([&] { told_.delay = by; });
}
void Proxy::hold(bool on) {
  command([&] { told_.hold = on; });
}
void Proxy::throttle(nanoseconds apart) {
  command([&] { told_.throttle = apart; });
}
void Proxy::lose_reply(int n) {
  command([&] { told_.lose_reply = n; });
}
void Proxy::lose_request(int n) {
  command([&] { told_.lose_request = n; });
}
void Proxy::heal() {
  command([&] { told_ = {.cut = told_.cut, .how = told_.how}; });
}

// --------------------------------------------------------------------------------------------------------------- the thread

void Proxy::run(const std::stop_token& stop) {
  std::vector<pollfd> all;
  while (!stop.stop_requested()) {
    obey();
    accept_all();
    for (Link& link : links_) {
      if (now_.blackhole) continue;
      if (link.server < 0 && !connect_server(link)) continue;
      take(link);
      pass(link.up, link.server, link, false);
      pass(link.down, link.client, link, now_.hold);
    }
    links_.remove_if([](const Link& link) { return link.over; });
    open_ = static_cast<int>(links_.size());

    const nanoseconds at = now();
    nanoseconds next = nanoseconds::max();
    all.assign({{wake_[0], POLLIN, 0}, {listening_ ? listener_ : -1, POLLIN, 0}});
    for (const Link& link : links_) {
      if (now_.blackhole) break;
      if (link.server < 0) {
        next = std::min(next, at + std::chrono::milliseconds{2});
        continue;
      }
      const auto watch = [&](int fd, const Flow& in, const Flow& out, bool held) {
        short events = in.ended || in.queue.size() >= kMost ? 0 : POLLIN;
        if (!out.queue.empty() && !held) {
          const nanoseconds due = std::max(out.queue.front().due, out.next_byte);
          if (due <= at)
            events |= POLLOUT;
          else
            next = std::min(next, due);
        }
        all.push_back({events ? fd : -1, events, 0});  // a connection that has ended is not looked at, or it would be for ever
      };
      watch(link.client, link.up, link.down, now_.hold);
      watch(link.server, link.down, link.up, false);
    }
    const timespec rest{static_cast<time_t>((next - at) / std::chrono::seconds{1}), static_cast<long>(((next - at) % std::chrono::seconds{1}).count())};
    ::ppoll(all.data(), all.size(), next == nanoseconds::max() ? nullptr : &rest, nullptr);
    char words[64];
    while (::read(wake_[0], words, sizeof words) > 0) {
    }
  }
  for (Link& link : links_) end(link, Cut::close);
}

void Proxy::obey() {
  std::uint64_t obeyed = 0;
  {
    const std::lock_guard guard{mutex_};
    const auto [reply, request] = std::pair{now_.lose_reply, now_.lose_request};
    now_ = told_;
    told_.cut = false;
    // Counted down here: a number that was told anew is below zero there until it has been seen.
    now_.lose_reply = told_.lose_reply > 0 ? told_.lose_reply : told_.lose_reply < 0 ? reply : 0;
    now_.lose_request = told_.lose_request > 0 ? told_.lose_request : told_.lose_request < 0 ? request : 0;
    if (told_.lose_reply > 0) told_.lose_reply = -1;
    if (told_.lose_request > 0) told_.lose_request = -1;
    obeyed = commands_;
  }
  if (now_.refuse == listening_) {
    // A copy that a forked child has does not keep a port open that is shut.
    if (now_.refuse ? ::shutdown(listener_, SHUT_RDWR) : ::listen(listener_, 100)) fail("a proxy that opens and shuts its port");
    listening_ = !now_.refuse;
  }
  if (now_.cut)
    for (Link& link : links_) end(link, now_.how);
  links_.remove_if([](const Link& link) { return link.over; });
  open_ = static_cast<int>(links_.size());
  {
    const std::lock_guard guard{mutex_};
    seen_ = obeyed;
  }
  obeyed_.notify_all();
}

void Proxy::accept_all() {
  for (int fd; listening_ && (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
    at_once(fd);
    ++connections_;
    links_.push_back({fd, -1});
  }
}

// False: not yet, or there is no server, and the client's connection ends.
bool Proxy::connect_server(Link& link) {
  int done = 0;
  if (const int* port = std::get_if<int>(&server_)) {
    link.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    at_once(link.server);
    const sockaddr_in address = detail::loopback(*port);
    done = ::connect(link.server, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } else {
    link.server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::get<std::string>(server_).copy(address.sun_path, sizeof address.sun_path - 1);
    done = ::connect(link.server, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }
  if (done == 0 || errno == EINPROGRESS) return true;
  const bool full = errno == EAGAIN;  // a stopped server's queue: later
  ::close(link.server);
  link.server = -1;
  if (!full) end(link, Cut::reset);
  return false;
}

// Reads what has come from both sides.
void Proxy::take(Link& link) {
  for (const bool client : {true, false}) {
    Flow& flow = client ? link.up : link.down;
    char bytes[16384];
    while (!link.over && !flow.ended && flow.queue.size() < kMost) {
      const ssize_t got = ::recv(client ? link.client : link.server, bytes, sizeof bytes, 0);
      if (got > 0) {
        const std::string burst{bytes, static_cast<std::size_t>(got)};
        client ? from_client(link, burst) : from_server(link, burst);
        continue;
      }
      if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) break;
      flow.ended = true;
      if (got < 0) end(link, Cut::reset);
    }
  }
}

void Proxy::from_client(Link& link, std::string bytes) {
  if (link.last != Link::client_spoke) {
    ++requests_;
    if (now_.lose_request > 0 && --now_.lose_request == 0) {
      ++lost_;
      return end(link, Cut::close);
    }
    if (now_.lose_reply > 0 && --now_.lose_reply == 0) link.lose_reply = true;
  }
  link.last = Link::client_spoke;
  link.up.queue.push_back({std::move(bytes), now()});
}

void Proxy::from_server(Link& link, std::string bytes) {
  if (link.last != Link::server_spoke) ++replies_;
  link.last = Link::server_spoke;
  if (link.lose_reply) {
    ++lost_;
    return end(link, Cut::close);
  }
  link.down.queue.push_back({std::move(bytes), now() + now_.delay});
}

// Writes what is due, as far as the other side takes it.
void Proxy::pass(Flow& flow, int to, Link& link, bool held) {
  while (!link.over && !held && !flow.queue.empty()) {
    Burst& first = flow.queue.front();
    const nanoseconds at = now();
    if (first.due > at || flow.next_byte > at) return;
    const ssize_t sent = ::send(to, first.bytes.data(), now_.throttle.count() ? 1 : first.bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) return;
    if (sent < 0) return end(link, Cut::reset);
    first.bytes.erase(0, static_cast<std::size_t>(sent));
    if (now_.throttle.count()) flow.next_byte = at + now_.throttle;
    if (first.bytes.empty()) flow.queue.pop_front();
  }
  if (!link.over && flow.ended && flow.queue.empty()) end(link, Cut::close);
}

// Shut before it is closed: a forked child may have a copy.
void Proxy::end(Link& link, Cut how) {
  if (std::exchange(link.over, true)) return;
  for (const int fd : {link.client, link.server}) {
    if (fd < 0) continue;
    const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
    if (how == Cut::reset) static_cast<void>(::connect(fd, &nobody, sizeof nobody));
    ::shutdown(fd, SHUT_RDWR);
    ::close(fd);
  }
}

}  // namespace support
