// SPDX-License-Identifier: MIT
#include "addons/memcached/connection.hpp"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "addons/common/facts.hpp"
#include "addons/common/failure.hpp"

namespace sherlock::addons::memcached {
namespace {

constexpr int kPort = 11211;
constexpr std::size_t kMostBytes = 64 * 1024;  // of an answer; it must fit into a socket's buffer
constexpr std::size_t kLongestLine = 2048;
constexpr std::uint64_t kNoWait = 50;  // ms, in which libmemcached reads what is there already

std::error_code error(int number) { return {number, std::generic_category()}; }
[[noreturn]] void fail(const char* what, int number) { throw Failure{Errc::system, fmt::format("{}: {}", what, error(number).message()), error(number)}; }

struct CloseFd {
  int fd;
  ~CloseFd() {
    if (fd >= 0) ::close(fd);
  }
};

[[noreturn]] void nonsense() { throw Failure{Errc::damaged, "it answers what no memcached server answers: is something else listening there?"}; }

// An answer that is one line other than END.
[[noreturn]] void throw_line(std::string_view line) {
  static constexpr struct {
    const char* text;
    Errc errc;
    const char* way_out;
  } kKnown[] = {
      {"CLIENT_ERROR unauthenticated", Errc::unavailable, "it wants a password: memcached://user:password@host, or the option password_file"},
      {"CLIENT_ERROR authentication failure", Errc::unavailable, "check user and password"},
      {"SERVER_ERROR out of memory", Errc::system, "its memory is full: raise -m"},
      {"ERROR Too many open connections", Errc::system, "raise -c"},
      {"CLIENT_ERROR", Errc::unavailable, "docs/addons/memcached.md says what it must understand"},
      {"SERVER_ERROR", Errc::unavailable, "see its log"},
  };
  for (const auto& known : kKnown)
    if (line.starts_with(known.text)) throw Failure{known.errc, fmt::format("it says: {}; {}", printable(line), known.way_out)};
  nonsense();
}

// How long the answer to a `gets` of one key is; 0 where that cannot be told yet, or not all of it is there.
std::size_t length_of_gets(std::string_view bytes) {
  const auto end = bytes.find("\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() > kLongestLine) nonsense();
    return 0;
  }
  const std::string_view line = bytes.substr(0, end);
  if (line == "END") return end + 2;
  if (!line.starts_with("VALUE ")) throw_line(line);
  // VALUE key flags bytes cas
  const auto last = line.rfind(' '), before = line.rfind(' ', last - 1);
  const auto size = read_number(line.substr(before + 1, last - before - 1));
  if (!size) nonsense();
  if (*size > kMostBytes) throw Failure{Errc::damaged, "an item of this lock is too large to be ours: another program uses its key"};
  const std::size_t whole = end + 2 + *size + 2 + 5;
  if (bytes.size() < whole) return 0;
  if (bytes.substr(whole - 7, 7) != "\r\nEND\r\n") nonsense();
  return whole;
}

std::size_t length_of_line(std::string_view bytes) {
  const auto end = bytes.find("\r\n");
  if (end == std::string_view::npos && bytes.size() > kLongestLine) nonsense();
  return end == std::string_view::npos ? 0 : end + 2;
}

}  // namespace

Connection::Connection(const Url& url, Deadline deadline) : socket_{url, kPort, deadline} {
  open_way();
  greet(url, deadline);
}

Connection::Client::~Client() {
  // Our end first: libmemcached says good-bye to whoever is there, and waits for an answer.
  if (way >= 0) ::close(way);
  if (library) memcached_free(library);
}

void Connection::close() noexcept {
  socket_.close();
  if (client_.way >= 0) ::close(std::exchange(client_.way, -1));
  client_.library = nullptr;  // left alone: it would speak on a socket that is the parent's
}

// A socket needs a name for a moment, in a directory that nobody else may enter.
void Connection::open_way() {
  char directory[] = "/tmp/sherlock-memcached-XXXXXX";
  char elsewhere[] = "/dev/shm/sherlock-memcached-XXXXXX";
  const char* const made = ::mkdtemp(directory) ? directory : ::mkdtemp(elsewhere);
  if (!made) fail("a directory in /tmp or /dev/shm", errno);
  const std::string path = std::string{made} + "/s";
  struct Remove {
    const char *directory, *path;
    ~Remove() {
      ::unlink(path);
      ::rmdir(directory);
    }
  } const remove{made, path.c_str()};

  const CloseFd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, path.c_str(), path.size());
  if (listener.fd < 0 || ::bind(listener.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(listener.fd, 1) != 0)
    fail("a socket for libmemcached", errno);

  memcached_st* const client = client_.library = memcached_create(nullptr);
  if (!client) throw std::bad_alloc{};
  memcached_behavior_set(client, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
  memcached_behavior_set(client, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, kNoWait);
  memcached_behavior_set(client, MEMCACHED_BEHAVIOR_NOREPLY, 1);
  // It connects when it is asked for something. What it asks goes nowhere.
  const bool asked = memcached_success(memcached_server_add_unix_socket(client, path.c_str())) && memcached_success(memcached_delete(client, "x", 1, 0));
  client_.way = asked ? ::accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
  if (client_.way < 0) throw Failure{Errc::system, fmt::format("libmemcached does not connect: {}", printable(memcached_last_error_message(client)))};
  written();
}

// What libmemcached has sent.
std::string Connection::written() {
  std::string bytes;
  char part[16 * 1024];
  for (std::size_t got = sizeof part; got == sizeof part;) {
    const ssize_t count = ::recv(client_.way, part, sizeof part, 0);
    if (count < 0 && errno == EINTR) continue;
    got = count > 0 ? static_cast<std::size_t>(count) : 0;
    bytes.append(part, got);
  }
  return bytes;
}

// With --auth-file, the first thing that a server wants is a `set` of user and password, under any key. Without, that is an item which anybody may read: it is
// asked first whether it wants any.
void Connection::greet(const Url& url, Deadline deadline) {
  const std::string secret = url.secret();
  if (secret.empty() && url.user.empty()) return;
  socket_.send("version\r\n", deadline);
  const std::string wants = receive(deadline, &length_of_line);
  if (wants.starts_with("VERSION "))
    throw Failure{Errc::unavailable, "it wants no password, and was told none: start it with --auth-file, or leave user and password out"};
  if (!wants.starts_with("CLIENT_ERROR unauthenticated")) throw_line(wants.substr(0, wants.size() - 2));
  const std::string words = url.user + ' ' + secret;
  memcached_set(client_.library, "sherlock", 8, words.data(), words.size(), 0, 0);
  std::string request = written();
  // It answers this one whatever it is told.
  if (const auto at = request.find(" noreply\r\n"); at != std::string::npos) request.erase(at, 8);
  socket_.send(request, deadline);
  const std::string answer = receive(deadline, &length_of_line);
  if (answer != "STORED\r\n") throw_line(answer.substr(0, answer.size() - 2));
}

std::string Connection::receive(Deadline deadline, std::size_t (*length)(std::string_view)) {
  std::string answer;
  char bytes[16 * 1024];
  for (;;) {
    std::size_t count = 0;
    if (socket_.receive(bytes, sizeof bytes, count, deadline) != Socket::Came::bytes) throw Failure{Errc::busy, "no answer in time"};
    answer.append(bytes, count);
    const std::size_t whole = length(answer);
    if (whole == 0) continue;
    // What nobody asked for would be taken for the answer to the next request.
    if (whole != answer.size()) throw Failure{Errc::damaged, "it says more than it was asked"};
    return answer;
  }
}

std::optional<Item> Connection::ask(const std::string& key, const Store* store, Deadline deadline) {
  memcached_return_t sent = MEMCACHED_SUCCESS;
  if (store) {
    memcached_behavior_set(client_.library, MEMCACHED_BEHAVIOR_NOREPLY, 1);
    sent = store->cas ? memcached_cas(client_.library, key.data(), key.size(), store->value.data(), store->value.size(), store->expire.count(), 0, *store->cas)
                      : memcached_add(client_.library, key.data(), key.size(), store->value.data(), store->value.size(), store->expire.count(), 0);
    memcached_behavior_set(client_.library, MEMCACHED_BEHAVIOR_NOREPLY, 0);
  } else {
    memcached_behavior_set(client_.library, MEMCACHED_BEHAVIOR_NOREPLY, 0);
  }
  const char* const keys[] = {key.data()};
  const std::size_t sizes[] = {key.size()};
  if (memcached_success(sent) || sent == MEMCACHED_BUFFERED) sent = memcached_mget(client_.library, keys, sizes, 1);
  if (!memcached_success(sent)) throw Failure{Errc::system, fmt::format("libmemcached asks nothing: {}", printable(memcached_last_error_message(client_.library)))};
  socket_.send(written(), deadline);
  return read(key, receive(deadline, &length_of_gets));
}

std::optional<Item> Connection::read(const std::string& key, std::string_view answer) {
  if (::send(client_.way, answer.data(), answer.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(answer.size())) fail("the way to libmemcached", errno);
  const auto next = [&](memcached_return_t& why) {
    return std::unique_ptr<memcached_result_st, decltype(&memcached_result_free)>{memcached_fetch_result(client_.library, nullptr, &why), &memcached_result_free};
  };
  memcached_return_t why = MEMCACHED_SUCCESS;
  std::optional<Item> item;
  if (const auto result = next(why)) {
    if (std::string_view{memcached_result_key_value(result.get()), memcached_result_key_length(result.get())} != key) nonsense();
    item = Item{std::string{memcached_result_value(result.get()), memcached_result_length(result.get())}, memcached_result_cas(result.get())};
    if (next(why)) nonsense();
  }
  if (why != MEMCACHED_END && why != MEMCACHED_NOTFOUND && why != MEMCACHED_SUCCESS) nonsense();
  return item;
}

}  // namespace sherlock::addons::memcached
