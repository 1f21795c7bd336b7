// SPDX-License-Identifier: MIT
// Where a server is, as users write it: scheme://user:password@host:port/path?option=value. A socket of the host has a scheme that ends
// with "+unix", no host, and a path: redis+unix:///run/redis.sock?db=2
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sherlock::addons {

struct Url {
  std::string scheme;              // lower case
  std::string user, password;      // with %XX decoded, as is everything below
  std::string host;                // without the brackets of an IPv6 address; empty where it is a socket
  int port = 0;                    // 0: none was given
  std::string path;                // with its leading '/', or empty
  std::vector<std::pair<std::string, std::string>> options;
  std::string password_file;       // option password_file, taken out of `options`

  bool is_socket() const { return scheme.ends_with("+unix"); }
  // Takes the option out, so that what is left at the end is what nobody knows.
  std::optional<std::string> take(std::string_view option);

  // For people: the password is ***, and no byte is a command of a terminal. The only form in which a Url may be shown.
  std::string shown() const;
  // The password that was given, or the first line of the file. Failure when it cannot be read.
  std::string secret() const;
};

// ConfigurationException of `backend` that shows no secret, where the text is no URL, has none of the schemes, or is a socket without a path.
Url parse_url(std::string_view text, const std::vector<std::string_view>& schemes, std::string_view backend);

// Ends the reading of a Url: ConfigurationException for an option that nobody took.
void refuse_others(const Url& url, std::string_view known, std::string_view backend);

}  // namespace sherlock::addons
