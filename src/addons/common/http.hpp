// SPDX-License-Identifier: MIT
// Requests to an HTTP server, through libcurl: under an absolute deadline that covers the resolver, the connection, TLS and every byte of the answer. Nothing of
// the environment is used (no proxy, no .netrc), no redirection is followed, no thread is started, no write raises SIGPIPE, a certificate is always checked, and
// a forked child sends nothing on its parent's connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "addons/common/deadline.hpp"
#include "addons/common/pool.hpp"
#include "addons/common/url.hpp"

namespace sherlock::addons {

struct HttpAnswer {
  long status = 0;
  std::string body;
  bool repeated = false;  // it was asked more than once, because a connection broke: the server may have done it before
};

// One server, as all locks of one URL in this process see it.
class Http {
 public:
  // Takes user and password, and these options of the URL: `ca`, a file with the certificates to trust in place of the system's; `cert` and `key`, files with a
  // certificate of our own. `port` is the one that a URL without a port means. A scheme is "http", "https" or "http+unix". ConfigurationException of `backend`.
  enum class Login { basic, by_caller };  // by_caller: user and password are not sent, it is what `authorization` is for
  Http(Url url, int port, std::string_view backend, Login login = Login::basic);
  ~Http();
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;

  // Without the options that were taken.
  const Url& url() const { return url_; }
  static constexpr const char* options = "ca, cert, key";  // for refuse_others()

  // What the server answers, whatever the status; `body` is JSON, or nothing. On a new connection where one broke, three at most: whatever is asked must bear to be
  // asked twice. Failure with the server's address: unavailable, busy (the deadline), damaged (no HTTP, or more than `most` bytes). `authorization`: the value of
  // that header, or nothing.
  HttpAnswer ask(const char* method, const std::string& path, const std::string& body, Deadline deadline, std::size_t most = 1024 * 1024,
                 const std::string& authorization = {});

 private:
  friend class HttpStream;
  class Connection;

  std::unique_ptr<Connection> connect(Deadline deadline) const;
  template <class Call>
  auto named(Call call) const -> decltype(call());

  Url url_;
  std::string base_, ca_, cert_, key_;
  int port_;
  Login login_;
  Pool<Connection> idle_;
};

// An answer that goes on for as long as somebody listens: a line for everything that happens.
class HttpStream {
 public:
  // Connects, and begins to send the request: what it then waits for is in next(). Failure, as Http::ask().
  HttpStream(Http& http, const char* method, const std::string& path, std::string body, Deadline deadline, const std::string& authorization = {});
  ~HttpStream();
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  enum class Came { line, nothing, woken };
  // The next line, put in `line`, of 64 KiB at most; `nothing` at the deadline; `woken` as soon as `wake` (a descriptor, or -1) can be read. Broken where the
  // answer has ended, Failure where it is none.
  Came next(std::string& line, Deadline deadline, int wake = -1);
  // The status of the answer, once a line has come.
  long status() const;

 private:
  class Transfer;

  Http& http_;
  const std::string url_, body_;
  const std::uint64_t forks_;
  std::unique_ptr<Transfer> transfer_;
};

}  // namespace sherlock::addons
