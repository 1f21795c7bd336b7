// SPDX-License-Identifier: MIT
#include "addons/postgres/settings.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <libpq-fe.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>

#include "addons/common/failure.hpp"
#include "addons/common/resolve.hpp"

namespace sherlock::addons::postgres {
namespace {

constexpr const char* kBackend = "postgres";
constexpr std::size_t kLongest = 4096;
constexpr int kPort = 5432;

// Where the options begin, as libpq reads it: a '?' before the '@' is of the password.
std::size_t query_of(std::string_view url) {
  const auto who = url.find_first_of("@/", url.find("://") + 3);
  return url.find('?', who != std::string_view::npos && url[who] == '@' ? who : 0);
}

// Whether libpq would take a part of a password for something else, and look for a host of that name: one '@' ends who it is, and none comes after a '/'.
// What is meant by the rest nobody knows.
bool splits_password(std::string_view url) {
  const std::string_view rest = url.substr(0, query_of(url)).substr(url.find("://") + 3);
  const auto last = rest.rfind('@');
  return last != std::string_view::npos && rest.find_first_of("@/") != last;
}

bool are_ports(const std::string& list) { return list.find_first_not_of("0123456789,") == std::string::npos; }

// Takes an option of ours out of a URL, so that libpq, which refuses those that it does not know, can read the rest.
std::optional<std::string> take(std::string& url, std::string_view option) {
  const auto query = query_of(url);
  for (auto from = query; from != std::string::npos; from = url.find('&', from + 1)) {
    const auto begin = from + 1, end = std::min(url.find('&', begin), url.size());
    const std::string_view one = std::string_view{url}.substr(begin, end - begin);
    if (!one.starts_with(option) || one.substr(option.size()).substr(0, 1) != "=") continue;
    std::string value{one.substr(option.size() + 1)};
    // The mark before it goes with it, but '?' stays for those that follow.
    if (from == query && end < url.size())
      url.erase(begin, end + 1 - begin);
    else
      url.erase(from, end - from);
    return value;
  }
  return std::nullopt;
}

bool is_identifier(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_", kMore = "abcdefghijklmnopqrstuvwxyz_0123456789";
  return !text.empty() && text.size() <= 63 && kLetters.find(text.front()) != std::string_view::npos && text.find_first_not_of(kMore) == std::string_view::npos;
}

[[noreturn]] void refuse(const std::string& why) { throw ConfigurationException{why, {}, kBackend}; }

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts{""};
  for (const char c : list) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

std::string digits_of(const Address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  const void* const data = address.data.ss_family == AF_INET6
                               ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6&>(address.data).sin6_addr)
                               : static_cast<const void*>(&reinterpret_cast<const sockaddr_in&>(address.data).sin_addr);
  return ::inet_ntop(address.data.ss_family, data, text, sizeof text) ? text : "";
}

}  // namespace

Settings::Settings(std::string_view url) {
  // What libpq says of a URL that it cannot read may have the password in it, and so may the URL: neither is shown.
  const std::string form = "a client is postgresql://[USER[:PASSWORD]@][HOST][:PORT][/DATABASE][?OPTION=VALUE&...], with %XX for special characters";
  if (!url.starts_with("postgresql://") && !url.starts_with("postgres://")) refuse("this is no address of a postgres server: " + form);
  if (url.size() > kLongest || url.find('\0') != std::string_view::npos) refuse("this is no address of a postgres server: it is too long, or has a NUL in it");
  const std::string split_password =
      "this is no address of a postgres server: '/', '?', '#' and '@' in a password are written %2F, %3F, %23 and %40, and '@' elsewhere %40 as well; ";
  if (splits_password(url)) refuse(split_password + form);
  std::string rest{url};
  const std::string table = take(rest, "table").value_or("sherlock_locks");

  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options{PQconninfoParse(rest.c_str(), &why), &PQconninfoFree};
  PQfreemem(why);
  if (!options) refuse("libpq cannot read this address of a postgres server (a letter that wants %XX, or an option that it does not know?): " + form);
  for (const PQconninfoOption* option = options.get(); option->keyword; ++option)
    if (option->val) given_.emplace_back(option->keyword, option->val);
  const std::string user = value("user", nullptr), port = value("port", nullptr), database = value("dbname", nullptr);
  const std::string host = value("host", nullptr), password = value("password", nullptr);
  if (!are_ports(port)) refuse(split_password + "a port is a number; " + form);  // more likely the beginning of a password
  shown_ = printable(fmt::format("postgresql://{}{}{}{}{}{}", user, password.empty() ? "" : ":***", user.empty() && password.empty() ? "" : "@", host,
                                 port.empty() ? "" : ":" + port, database.empty() ? "" : "/" + database), 400);

  const auto dot = table.find('.');
  const std::string schema = dot == std::string::npos ? "public" : table.substr(0, dot), name = dot == std::string::npos ? table : table.substr(dot + 1);
  // With an '@' it may be the end of a password with a '?'.
  const std::string text = table.find('@') == std::string::npos ? "=" + printable(table) : "";
  if (!is_identifier(schema) || !is_identifier(name)) refuse(fmt::format("{}: table{} is no [schema.]name of small letters, digits and '_'", shown_, text));
  table_ = fmt::format("\"{}\".\"{}\"", schema, name);
}

std::string Settings::value(std::string_view keyword, const char* environment) const {
  for (const auto& [name, text] : given_)
    if (name == keyword) return text;
  const char* const text = environment ? std::getenv(environment) : nullptr;
  return text ? text : "";
}

std::vector<Settings::Keywords> Settings::hosts(Deadline deadline) const {
  Keywords all = given_;
  const auto unless_given = [&](const char* keyword, const char* environment, const char* text) {
    if (value(keyword, environment).empty()) all.emplace_back(keyword, text);
  };
  unless_given("fallback_application_name", nullptr, "sherlock");
  unless_given("gssencmode", "PGGSSENCMODE", "disable");  // whoever looks for tickets may wait for a server of those
  // Whatever lies between may forget a connection that idles, and a waiter sends nothing.
  unless_given("keepalives_idle", nullptr, "60");
  unless_given("keepalives_interval", nullptr, "10");
  unless_given("keepalives_count", nullptr, "3");

  const std::string list = value("host", "PGHOST");
  if (list.empty() || !value("hostaddr", "PGHOSTADDR").empty()) return {all};
  const std::vector<std::string> names = split(list), ports = split(value("port", "PGPORT"));
  if (ports.size() != 1 && ports.size() != names.size()) return {all};  // which libpq refuses
  std::erase_if(all, [](const auto& one) { return one.first == "host" || one.first == "port"; });
  std::vector<Keywords> hosts;
  std::optional<Failure> why;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto add = [&](const std::string& address) {
      Keywords& host = hosts.emplace_back(all);
      host.emplace_back("host", names[i]);
      if (!address.empty()) host.emplace_back("hostaddr", address);
      host.emplace_back("port", ports[ports.size() == 1 ? 0 : i]);
    };
    if (names[i].empty() || names[i].starts_with('/') || names[i].starts_with('@')) {
      add("");
      continue;
    }
    try {
      Url url;
      url.host = names[i];
      for (const Address& address : resolve(url, kPort, deadline)) add(digits_of(address));
    } catch (const Failure& e) {
      why = e;
    }
  }
  if (hosts.empty()) throw *why;
  return hosts;
}

}  // namespace sherlock::addons::postgres
