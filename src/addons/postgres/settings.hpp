// SPDX-License-Identifier: MIT
// Where a database is, as users write it: a URL of libpq's, and the options that are ours.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "addons/common/deadline.hpp"

namespace sherlock::addons::postgres {

class Settings {
 public:
  // ConfigurationException that shows no secret.
  explicit Settings(std::string_view url);

  // The only form in which they may be shown.
  const std::string& shown() const { return shown_; }
  // As SQL writes it: "schema"."name".
  const std::string& table() const { return table_; }

  // What libpq connects with, for each address of each host, at least one: looked up by us and tried in turn by us, because libpq knows no deadline for either.
  using Keywords = std::vector<std::pair<std::string, std::string>>;
  std::vector<Keywords> hosts(Deadline deadline) const;

 private:
  std::string value(std::string_view keyword, const char* environment) const;

  Keywords given_;
  std::string shown_, table_;
};

}  // namespace sherlock::addons::postgres
