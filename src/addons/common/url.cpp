// SPDX-License-Identifier: MIT
#include "addons/common/url.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>

#include <sherlock/error.hpp>

#include "addons/common/failure.hpp"

namespace sherlock::addons {
namespace {

constexpr std::size_t kLongest = 4096;

// Of a text that may be no URL at all: whatever stands before an '@' may be a secret.
std::string without_secrets(std::string_view text) {
  const auto at = text.rfind('@');
  return printable(at == std::string_view::npos ? text : "***" + std::string{text.substr(at)});
}

struct Reader {
  std::string_view text, backend;

  [[noreturn]] void refuse(const std::string& why) const {
    throw ConfigurationException{fmt::format("\"{}\" is no address of a {} server: {}", without_secrets(text), backend, why), {}, backend};
  }

  std::string decoded(std::string_view part) const {
    std::string plain;
    for (std::size_t i = 0; i < part.size(); ++i) {
      unsigned value = 0;
      if (part[i] != '%') {
        plain += part[i];
        continue;
      }
      const char* const digits = part.data() + i + 1;
      if (i + 2 >= part.size() || std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2)
        refuse("'%' begins two hexadecimal digits; a '%' itself is %25");
      plain += static_cast<char>(value);
      i += 2;
    }
    if (plain.find('\0') != std::string::npos) refuse("it has a NUL in it");
    return plain;
  }
};

// Takes what stands before the first `mark` off `rest`; the mark goes too. All of it where there is none.
std::string_view take_until(std::string_view& rest, char mark) {
  const auto end = rest.find(mark);
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return taken;
}

void read_host(const Reader& reader, std::string_view text, Url& url) {
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) reader.refuse("a ']' is missing");
    url.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && port.front() != ':') reader.refuse("after ']' comes ':' and the port");
  } else {
    const auto colon = text.find(':');
    url.host = reader.decoded(text.substr(0, colon));
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  if (port.size() < 2) return;
  const char* const end = port.data() + port.size();
  const auto read = std::from_chars(port.data() + 1, end, url.port);
  if (read.ec != std::errc{} || read.ptr != end || url.port < 1 || url.port > 65535) reader.refuse("a port is a number from 1 to 65535");
}

}  // namespace

Url parse_url(std::string_view text, const std::vector<std::string_view>& schemes, std::string_view backend) {
  const Reader reader{text, backend};
  Url url;
  if (text.size() > kLongest) reader.refuse("it is too long");
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) reader.refuse(fmt::format("it begins with {}://", fmt::join(schemes, ":// or ")));
  std::ranges::transform(text.substr(0, colon), std::back_inserter(url.scheme), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (std::ranges::find(schemes, url.scheme) == schemes.end()) reader.refuse(fmt::format("it begins with {}://", fmt::join(schemes, ":// or ")));

  std::string_view query = text.substr(colon + 3);
  std::string_view rest = take_until(query, '?');
  const auto slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  // An '@' behind it is more likely the end of a password with a '/' or a '?' in it than part of a path or an option: those would be shown.
  if (text.find('@', colon + 3 + authority.size()) != std::string_view::npos)
    throw ConfigurationException{fmt::format("the address of the {} server (not shown: it may have a password in it) has an '@' too many; in user, password, "
                                             "path and options write '/' as %2F, '?' as %3F, '#' as %23 and '@' as %40", backend), {}, backend};
  if (slash != std::string_view::npos) url.path = reader.decoded(rest.substr(slash));
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    std::string_view password = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    url.user = reader.decoded(take_until(password, ':'));
    url.password = reader.decoded(password);
  }
  read_host(reader, authority, url);
  if (url.is_socket()) {
    if (!url.host.empty() || url.port) reader.refuse("a socket has no host: three slashes before its path, as in scheme+unix:///run/socket");
    if (url.path.size() < 2) reader.refuse("the path of the socket is missing");
  } else if (url.host.empty()) {
    url.host = "localhost";
  }

  while (!query.empty()) {
    std::string_view value = take_until(query, '&');
    const std::string name = reader.decoded(take_until(value, '='));
    if (name.empty()) continue;
    if (std::ranges::any_of(url.options, [&](const auto& option) { return option.first == name; }))
      reader.refuse(fmt::format("option {} is given twice", printable(name)));
    url.options.emplace_back(name, reader.decoded(value));
  }
  url.password_file = url.take("password_file").value_or("");
  if (!url.password_file.empty() && !url.password.empty()) reader.refuse("it has a password and a password_file: give one");
  return url;
}

void refuse_others(const Url& url, std::string_view known, std::string_view backend) {
  if (url.options.empty()) return;
  throw ConfigurationException{fmt::format("\"{}\": there is no option {} (known: password_file, {})", url.shown(),
                                           printable(url.options.front().first), known), {}, backend};
}

std::optional<std::string> Url::take(std::string_view option) {
  const auto found = std::ranges::find(options, option, &std::pair<std::string, std::string>::first);
  if (found == options.end()) return std::nullopt;
  std::string value = std::move(found->second);
  options.erase(found);
  return value;
}

std::string Url::shown() const {
  std::string text = scheme + "://";
  if (!user.empty() || !password.empty()) text += user + (password.empty() ? "@" : ":***@");
  text += host.find(':') == std::string::npos ? host : '[' + host + ']';
  if (port) text += fmt::format(":{}", port);
  return printable(text + path);
}

std::string Url::secret() const {
  if (password_file.empty()) return password;
  std::ifstream file{password_file};
  std::string line;
  if (!std::getline(file, line)) throw Failure{Errc::unavailable, fmt::format("cannot read a password from {}", printable(password_file))};
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace sherlock::addons
