// SPDX-License-Identifier: MIT
#include "addons/etcd/server.hpp"

#include <fmt/core.h>

#include <map>

#include <sherlock/addons/etcd_lock.hpp>

#include "addons/common/facts.hpp"
#include "addons/common/forks.hpp"
#include "addons/etcd/base64.hpp"

namespace sherlock::addons::etcd {
namespace {

constexpr const char* kBackend = "etcd";
constexpr int kPort = 2379;
constexpr std::size_t kMostBytes = 8 * 1024 * 1024;  // of an answer: a page of a list of locks
constexpr int kUnauthenticated = 16;

// The options of a Url that are for HTTP have been taken out by Http: what is left is nobody's.
Url checked(Url url) {
  if (!url.is_socket() && url.path.size() > 1)
    throw ConfigurationException{fmt::format("\"{}\": an address of etcd has no path", url.shown()), {}, kBackend};
  if (url.user.empty() && !(url.password.empty() && url.password_file.empty()))
    throw ConfigurationException{fmt::format("\"{}\": it has a password and no user", url.shown()), {}, kBackend};
  return url;
}

// Where tokens are, they go out of use: after a time, when the server restarts, and when an operator changes users.
bool is_stale_token(int number, std::string_view said) {
  return number == kUnauthenticated || said.find("auth store is old") != std::string_view::npos || said.find("invalid auth token") != std::string_view::npos;
}

std::string_view message(const Json& answer) {
  for (const char* const field : {"message", "error"})
    if (const auto found = answer.find(field); found != answer.end() && found->is_string()) return found->get_ref<const std::string&>();
  return {};
}

int code(const Json& answer) {
  for (const char* const field : {"code", "grpc_code"})
    if (const auto found = answer.find(field); found != answer.end() && found->is_number_integer()) {
      const auto number = found->get<std::int64_t>();
      return number > 0 && number < 100 ? static_cast<int>(number) : -1;
    }
  return -1;
}

}  // namespace

std::shared_ptr<Server> Server::of(std::string_view url) {
  // Never destroyed: locks may be let go while the process exits.
  static auto* const servers = new std::map<std::string, std::shared_ptr<Server>, std::less<>>;
  const std::lock_guard guard{shared()};
  const auto found = servers->find(url);
  if (found != servers->end()) return found->second;
  return servers->emplace(url, std::make_shared<Server>(parse_url(url, {"http", "https", "http+unix"}, kBackend))).first->second;
}

Server::Server(Url url) : url_{checked(std::move(url))}, http_{url_, kPort, kBackend, Http::Login::by_caller} { refuse_others(http_.url(), Http::options, kBackend); }

Answer Server::ask(const std::string& path, const Json& body, Deadline deadline) {
  const std::string text = body.dump();
  for (bool again = false;; again = true) {
    const HttpAnswer answer = http_.ask("POST", path, text, deadline, kMostBytes, authorization(deadline));
    Json said = Json::parse(answer.body, nullptr, false);
    if (!said.is_object()) {
      if (answer.status == 404) throw Failure{Errc::damaged, http_.url().shown() + " has no JSON gateway of etcd, version 3.4 or later: is the address right?"};
      bad_answer();
    }
    if (answer.status == 200 && !said.contains("error")) return {std::move(said), answer.repeated || again};
    if (again || url_.user.empty() || !is_stale_token(code(said), message(said))) refused(answer.status, said);
    forget_token();
  }
}

std::unique_ptr<HttpStream> Server::stream(const std::string& path, const Json& body, Deadline deadline) {
  return std::make_unique<HttpStream>(http_, "POST", path, body.dump(), deadline, authorization(deadline));
}

void Server::refused(long status, const Json& answer) const {
  static constexpr struct {
    int number;
    Errc errc;
    const char* way_out;
  } kKnown[] = {
      {1, Errc::unavailable, "it gave the request up: try again"},
      {4, Errc::busy, "the cluster does not agree in time: do most of its members reach each other?"},
      {7, Errc::unavailable, "the user may not do this: grant it readwrite on the prefix sherlock/"},
      {8, Errc::system, "its space is exhausted: compact, defragment, and disarm the alarm with etcdctl"},
      {14, Errc::unavailable, "the cluster has no leader just now: are most of its members running?"},
      {16, Errc::unavailable, "check user and password"},
  };
  // A stream's error is an object of its own.
  const auto inner = answer.find("error");
  const Json& said = inner != answer.end() && inner->is_object() ? *inner : answer;
  const int number = code(said);
  std::string text = fmt::format("{}: {}", http_.url().shown(), printable(message(said).empty() ? fmt::format("HTTP status {}", status) : std::string{message(said)}));
  if (message(said).find("user name is empty") != std::string_view::npos)
    throw Refused{number, Errc::unavailable, text + "; it wants a user and a password: http://user:password@host, or the option password_file"};
  if (message(said).find("authentication failed") != std::string_view::npos) throw Refused{number, Errc::unavailable, text + "; check user and password"};
  for (const auto& known : kKnown)
    if (known.number == number) throw Refused{number, known.errc, text + "; " + known.way_out};
  throw Refused{number, Errc::unavailable, text};
}

// A token for user and password, which the server gives and forgets as it likes.
std::string Server::authorization(Deadline deadline) {
  if (url_.user.empty()) return {};
  {
    const std::lock_guard guard{shared()};
    if (!token_.empty()) return token_;
  }
  const std::string body = Json{{"name", url_.user}, {"password", url_.secret()}}.dump(-1, ' ', false, Json::error_handler_t::replace);
  const HttpAnswer answer = http_.ask("POST", "/v3/auth/authenticate", body, deadline);
  const Json said = read(answer.body);
  if (answer.status != 200) refused(answer.status, said);
  const auto token = said.find("token");
  if (token == said.end() || !token->is_string() || token->get_ref<const std::string&>().size() > 8192) bad_answer();
  const auto& text = token->get_ref<const std::string&>();
  // It goes into a header.
  if (text.empty() || text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=._-") != std::string::npos) bad_answer();
  const std::lock_guard guard{shared()};
  return token_ = text;
}

void Server::forget_token() {
  const std::lock_guard guard{shared()};
  token_.clear();
}

Json Server::read(std::string_view text) const {
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) bad_answer();
  return json;
}

std::uint64_t Server::number(const Json& object, const char* field) const {
  const auto found = object.find(field);
  if (found == object.end()) return 0;
  if (found->is_number_unsigned()) return found->get<std::uint64_t>();
  if (!found->is_string()) bad_answer();
  const auto& digits = found->get_ref<const std::string&>();
  if (digits.starts_with('-')) return 0;  // a lease that is not there has -1 seconds
  const auto value = read_number(digits);
  if (!value) bad_answer();
  return *value;
}

const Json& Server::object(const Json& object, const char* field) const {
  static const Json none = Json::object();
  const auto found = object.find(field);
  if (found == object.end()) return none;
  if (!found->is_object()) bad_answer();
  return *found;
}

const Json& Server::array(const Json& object, const char* field) const {
  static const Json none = Json::array();
  const auto found = object.find(field);
  if (found == object.end()) return none;
  if (!found->is_array()) bad_answer();
  for (const Json& element : *found)
    if (!element.is_object()) bad_answer();
  return *found;
}

bool Server::flag(const Json& object, const char* field) const {
  const auto found = object.find(field);
  if (found == object.end()) return false;
  if (!found->is_boolean()) bad_answer();
  return found->get<bool>();
}

std::string Server::bytes(const Json& object, const char* field) const {
  const auto found = object.find(field);
  if (found == object.end()) return {};
  if (!found->is_string()) bad_answer();
  auto plain = from_base64(found->get_ref<const std::string&>());
  if (!plain) bad_answer();
  return *std::move(plain);
}

void Server::bad_answer() const {
  throw Failure{Errc::damaged, http_.url().shown() + " answers what no etcd server answers: is something else listening there?"};
}

}  // namespace sherlock::addons::etcd

namespace sherlock {

EtcdClient::EtcdClient() : EtcdClient{std::string_view{"http://localhost:2379"}} {}
EtcdClient::EtcdClient(std::string_view url) : server_{addons::etcd::Server::of(url)} {}
std::string EtcdClient::text() const { return server_->text(); }

}  // namespace sherlock
