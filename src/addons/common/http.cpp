// SPDX-License-Identifier: MIT
#include "addons/common/http.hpp"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <netdb.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <new>

#include "addons/common/failure.hpp"
#include "addons/common/resolve.hpp"
#include "addons/common/socket.hpp"

namespace sherlock::addons {
namespace {

constexpr int kMostBroken = 3;                     // fresh connections, in one request
constexpr std::size_t kMostHeaders = 64 * 1024;    // bytes
constexpr std::size_t kLongestLine = 64 * 1024;    // bytes

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

void append(List& list, const std::string& text) {
  curl_slist* const longer = curl_slist_append(list.get(), text.c_str());
  if (!longer) throw std::bad_alloc{};
  static_cast<void>(list.release());
  list.reset(longer);
}

// TLS libraries write without asking for no signal. A SIGPIPE of this thread's is taken back before anybody sees it.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigpipe() {
    const int kept = errno;
    constexpr timespec now{};
    if (!was_pending_)
      while (::sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) {
      }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = kept;
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t pipe_{}, before_{};
  bool was_pending_ = false;
};

std::string digits(const Address& address) {
  char host[NI_MAXHOST] = {};
  if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address.data), address.length, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0)
    throw Failure{Errc::system, "an address cannot be written"};
  return host;
}

}  // namespace

class Http::Connection {
 public:
  explicit Connection(const Http& http) : curl_{curl_easy_init()} {
    if (!curl_) throw Failure{Errc::system, "libcurl cannot begin; is there memory, and are there descriptors?"};
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_PROXY, "");
    set(CURLOPT_MAXCONNECTS, 1L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_OPENSOCKETFUNCTION, &Connection::open_socket);
    set(CURLOPT_OPENSOCKETDATA, this);
    set(CURLOPT_CLOSESOCKETFUNCTION, &Connection::close_socket);
    set(CURLOPT_CLOSESOCKETDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Connection::take_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &Connection::take_header);
    set(CURLOPT_HEADERDATA, this);
    if (!http.ca_.empty()) {
      set(CURLOPT_CAINFO, http.ca_.c_str());
      set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));  // the system's directory, beside the file
    }
    if (!http.cert_.empty()) set(CURLOPT_SSLCERT, http.cert_.c_str());
    if (!http.key_.empty()) set(CURLOPT_SSLKEY, http.key_.c_str());
    if (http.url_.is_socket()) set(CURLOPT_UNIX_SOCKET_PATH, http.url_.path.c_str());
    const std::string secret = http.login_ == Login::basic ? http.url_.secret() : "";
    if (http.login_ == Login::basic && (!http.url_.user.empty() || !secret.empty())) {
      set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
      set(CURLOPT_USERNAME, http.url_.user.c_str());
      set(CURLOPT_PASSWORD, secret.c_str());
    }
    greet({});
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The addresses of the host, if this one has none yet: libcurl would look them up in a thread. Not an address of IPv6, which has none but itself, and which
  // that option of libcurl's does not understand.
  void find(const Http& http, Deadline deadline) {
    if (addresses_ || http.url_.is_socket() || http.url_.host.find(':') != std::string::npos) return;
    std::string all;
    for (const Address& address : resolve(http.url_, http.port_, deadline)) all += (all.empty() ? "" : ",") + digits(address);
    append(addresses_, fmt::format("{}:{}:{}", http.url_.host, http.url_.port ? http.url_.port : http.port_, all));
    set(CURLOPT_RESOLVE, addresses_.get());
  }

  // What is asked next; url and body are to stay until it is answered.
  void prepare(const char* method, const std::string& url, const std::string& body, std::size_t most, const std::string& authorization) {
    if (authorization != authorization_) greet(authorization);
    answer_ = {};
    most_ = most, header_bytes_ = 0, too_long_ = false, socket_error_ = 0, error_[0] = '\0';
    set(CURLOPT_URL, url.c_str());
    if (body.empty()) {
      set(CURLOPT_HTTPGET, 1L);
    } else {
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
      set(CURLOPT_POSTFIELDS, body.c_str());
    }
    set(CURLOPT_CUSTOMREQUEST, method);
  }

  HttpAnswer ask(Deadline deadline) {
    if (deadline.passed()) throw Failure{Errc::busy, "no time is left to ask"};
    const long left = std::max(1, deadline.wait_ms());
    set(CURLOPT_TIMEOUT_MS, left);
    set(CURLOPT_CONNECTTIMEOUT_MS, left);
    const NoSigpipe guard;
    unanswered_ = true;
    const CURLcode code = curl_easy_perform(curl_.get());
    unanswered_ = false;
    if (code != CURLE_OK) fail(code);
    answer_.status = status();
    return std::move(answer_);
  }

  long status() const {
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status;
  }
  // Whether the server has left it while nobody asked.
  bool ended() const {
    char byte;
    return std::ranges::any_of(sockets_, [&](int fd) {
      const ssize_t got = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
    });
  }
  // Not where the server ended it with its last answer.
  bool open() const { return !sockets_.empty(); }
  // libcurl asks again by itself where a connection that it had before breaks under the request.
  bool made_anew() const {
    long made = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_NUM_CONNECTS, &made);
    return made > 0;
  }
  CURL* curl() const { return curl_.get(); }
  // What has come of the answer and was not taken yet.
  std::string& body() { return answer_.body; }

  // Gives it up without a byte to the server: TLS would say goodbye, so it speaks to nobody from now on.
  void close() noexcept {
    if (sockets_.empty()) return;
    const int nobody = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int fd : sockets_)
      if (nobody < 0 || ::dup3(nobody, fd, O_CLOEXEC) < 0) static_cast<void>(curl_.release());  // rather leaked than heard
    if (nobody >= 0) ::close(nobody);
  }

 private:
  struct FreeCurl {
    void operator()(CURL* curl) const {
      const NoSigpipe guard;
      curl_easy_cleanup(curl);
    }
  };

  void greet(const std::string& authorization) {
    List headers;
    append(headers, "Content-Type: application/json");
    append(headers, "Accept: application/json");
    append(headers, "Expect:");
    if (!authorization.empty()) append(headers, "Authorization: " + authorization);
    set(CURLOPT_HTTPHEADER, headers.get());
    headers_ = std::move(headers);
    authorization_ = authorization;
  }

  template <class T>
  void set(CURLoption option, T value) {
    const CURLcode code = curl_easy_setopt(curl_.get(), option, value);
    if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc{};
    if (code != CURLE_OK) throw Failure{Errc::system, fmt::format("libcurl knows no option {}: {}", static_cast<int>(option), curl_easy_strerror(code))};
  }

  static curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* address) {
    auto& connection = *static_cast<Connection*>(self);
    const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    connection.socket_error_ = fd < 0 ? errno : 0;
    if (fd < 0) return CURL_SOCKET_BAD;
    connection.sockets_.push_back(fd);
    return fd;
  }

  static int close_socket(void* self, curl_socket_t fd) {
    auto& connection = *static_cast<Connection*>(self);
    std::erase(connection.sockets_, fd);
    if (connection.unanswered_) forget_unsent(fd);
    return ::close(fd);
  }

  static std::size_t take_body(const char* bytes, std::size_t, std::size_t count, void* self) {
    auto& connection = *static_cast<Connection*>(self);
    connection.too_long_ = connection.answer_.body.size() + count > connection.most_;
    if (connection.too_long_) return 0;
    connection.answer_.body.append(bytes, count);
    return count;
  }

  static std::size_t take_header(const char*, std::size_t, std::size_t count, void* self) {
    auto& connection = *static_cast<Connection*>(self);
    connection.unanswered_ = false;
    connection.header_bytes_ += count;
    connection.too_long_ = connection.header_bytes_ > kMostHeaders;
    return connection.too_long_ ? 0 : count;
  }

 public:
  [[noreturn]] void fail(CURLcode code) const {
    const std::string said = printable(error_[0] ? error_ : curl_easy_strerror(code));
    if (socket_error_ == EMFILE || socket_error_ == ENFILE)
      throw Failure{Errc::system, "out of descriptors: raise `ulimit -n`", {socket_error_, std::generic_category()}};
    if (too_long_) throw Failure{Errc::damaged, "its answer does not end"};
    switch (code) {
      case CURLE_OPERATION_TIMEDOUT:
        throw Failure{Errc::busy, "no answer in time; is the address right, and nothing in the way?", {ETIMEDOUT, std::generic_category()}};
      case CURLE_COULDNT_CONNECT: {
        long number = 0;
        curl_easy_getinfo(curl_.get(), CURLINFO_OS_ERRNO, &number);
        const std::error_code cause{static_cast<int>(number), std::generic_category()};
        throw Failure{Errc::unavailable, number ? cause.message() + "; is the server running?" : said, cause};
      }
      case CURLE_GOT_NOTHING:
      case CURLE_SEND_ERROR:
      case CURLE_RECV_ERROR:
      case CURLE_PARTIAL_FILE: throw Broken{Errc::unavailable, "the connection broke: " + said};
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_WEIRD_SERVER_REPLY:
      case CURLE_BAD_CONTENT_ENCODING: throw Failure{Errc::damaged, "this is no answer of an HTTP server: " + said};
      case CURLE_OUT_OF_MEMORY:
      case CURLE_FAILED_INIT: throw Failure{Errc::system, said + "; is there memory, and are there descriptors?"};
      default: throw Failure{Errc::unavailable, said};
    }
  }

 private:
  // What libcurl points to is made before it, and goes after it.
  char error_[CURL_ERROR_SIZE] = {};
  List headers_, addresses_;
  std::string authorization_;
  HttpAnswer answer_;
  std::size_t most_ = 0, header_bytes_ = 0;
  bool too_long_ = false;
  bool unanswered_ = false;  // libcurl is asking, and not a word of the answer has come
  std::vector<int> sockets_;  // more than one while it tries addresses
  int socket_error_ = 0;
  std::unique_ptr<CURL, FreeCurl> curl_;
};

Http::Http(Url url, int port, std::string_view backend, Login login) : url_{std::move(url)}, port_{port}, login_{login} {
  static const CURLcode begun = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (begun != CURLE_OK) throw Failure{Errc::system, std::string{"libcurl cannot begin: "} + curl_easy_strerror(begun)};
  const bool fit = std::ranges::all_of(url_.host, [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':'; });
  if (!fit) throw ConfigurationException{fmt::format("\"{}\": a host is letters, digits, '.' and '-'", url_.shown()), {}, backend};
  ca_ = url_.take("ca").value_or("");
  cert_ = url_.take("cert").value_or("");
  key_ = url_.take("key").value_or("");
  const std::string host = url_.host.find(':') == std::string::npos ? url_.host : '[' + url_.host + ']';
  base_ = url_.is_socket() ? "http://localhost" : fmt::format("{}://{}:{}", url_.scheme, host, url_.port ? url_.port : port_);
}

Http::~Http() = default;

std::unique_ptr<Http::Connection> Http::connect(Deadline deadline) const {
  auto connection = std::make_unique<Connection>(*this);
  connection->find(*this, deadline);
  return connection;
}

// What goes wrong at the server, with its address.
template <class Call>
auto Http::named(Call call) const -> decltype(call()) {
  try {
    return call();
  } catch (const Broken& e) {
    throw Broken{e.code(), fmt::format("{}: {}", url_.shown(), e.what()), e.cause()};
  } catch (const Failure& e) {
    throw Failure{e.code(), fmt::format("{}: {}", url_.shown(), e.what()), e.cause()};
  }
}

HttpAnswer Http::ask(const char* method, const std::string& path, const std::string& body, Deadline deadline, std::size_t most, const std::string& authorization) {
  return named([&] {
    bool repeated = false;
    for (int broken = 0;; repeated = true) {
      std::unique_ptr<Connection> connection = idle_.take();
      while (connection && connection->ended()) connection = idle_.take();
      const bool fresh = !connection, open = connection && connection->open();
      try {
        if (fresh) connection = connect(deadline);
        const std::string url = base_ + path;
        connection->prepare(method, url, body, most, authorization);
        HttpAnswer answer = connection->ask(deadline);
        repeated = repeated || (open && connection->made_anew());
        idle_.give_back(std::move(connection));
        answer.repeated = repeated;
        return answer;
      } catch (const Broken&) {
        // One that lay idle may have broken long ago: that says nothing of the server.
        if (fresh && ++broken == kMostBroken) throw;
      }
    }
  });
}

class HttpStream::Transfer {
 public:
  explicit Transfer(std::unique_ptr<Http::Connection> made) : connection{std::move(made)}, multi_{curl_multi_init()} {
    if (!multi_ || curl_multi_add_handle(multi_.get(), connection->curl()) != CURLM_OK) throw Failure{Errc::system, "libcurl cannot begin; is there memory?"};
  }
  ~Transfer() {
    const NoSigpipe guard;
    if (connection->curl()) curl_multi_remove_handle(multi_.get(), connection->curl());
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Does what can be done at once.
  void go_on() {
    const NoSigpipe guard;
    int running = 0, left = 0;
    check(curl_multi_perform(multi_.get(), &running));
    while (const CURLMsg* const message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      if (message->data.result != CURLE_OK) connection->fail(message->data.result);
      ended = true;
    }
  }
  void wait(Deadline deadline, int wake, bool& woken) {
    curl_waitfd also{wake, CURL_WAIT_POLLIN, 0};
    check(curl_multi_poll(multi_.get(), wake >= 0 ? &also : nullptr, wake >= 0 ? 1 : 0, deadline.wait_ms(), nullptr));
    woken = also.revents != 0;
  }

  std::unique_ptr<Http::Connection> connection;
  bool ended = false;
  std::size_t looked = 0;  // bytes of the body in which no line ends

 private:
  struct FreeMulti {
    void operator()(CURLM* multi) const {
      const NoSigpipe guard;
      curl_multi_cleanup(multi);
    }
  };

  static void check(CURLMcode code) {
    if (code != CURLM_OK) throw Failure{Errc::system, std::string{"libcurl: "} + curl_multi_strerror(code)};
  }

  std::unique_ptr<CURLM, FreeMulti> multi_;
};

HttpStream::HttpStream(Http& http, const char* method, const std::string& path, std::string body, Deadline deadline, const std::string& authorization)
    : http_{http}, url_{http.base_ + path}, body_{std::move(body)}, forks_{forks()} {
  http_.named([&] {
    std::unique_ptr<Http::Connection> connection = http_.connect(deadline);
    connection->prepare(method, url_, body_, 2 * kLongestLine, authorization);
    transfer_ = std::make_unique<Transfer>(std::move(connection));
    transfer_->go_on();
  });
}

HttpStream::~HttpStream() {
  if (transfer_ && forks_ != forks()) transfer_->connection->close();
}

HttpStream::Came HttpStream::next(std::string& line, Deadline deadline, int wake) {
  return http_.named([&] {
    for (;;) {
      std::string& body = transfer_->connection->body();
      if (const auto end = body.find('\n', transfer_->looked); end != std::string::npos) {
        line = body.substr(0, end);
        body.erase(0, end + 1);
        transfer_->looked = 0;
        return Came::line;
      }
      transfer_->looked = body.size();
      if (body.size() > kLongestLine) throw Failure{Errc::damaged, "its answer does not end"};
      if (transfer_->ended) throw Broken{Errc::unavailable, "its answer has ended"};
      if (deadline.passed()) return Came::nothing;
      bool woken = false;
      transfer_->wait(deadline, wake, woken);
      if (woken) return Came::woken;
      transfer_->go_on();
    }
  });
}

long HttpStream::status() const { return transfer_->connection->status(); }

}  // namespace sherlock::addons
