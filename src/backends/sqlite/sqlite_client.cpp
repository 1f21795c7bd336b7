// SPDX-License-Identifier: MIT
#include <fmt/core.h>

#include <algorithm>

#include <sherlock/error.hpp>
#include <sherlock/sqlite_lock.hpp>

#include "backends/sqlite/sqlite_store.hpp"
#include "core/report.hpp"

namespace sherlock {
namespace {

constexpr std::size_t kLongestTable = 64;

[[noreturn]] void refuse_database(std::string_view text, std::string_view what) {
  throw ConfigurationException{fmt::format("client '{}': {}; it is PATH, with ?table=NAME behind it where the database is yours", text, what), {}, "sqlite"};
}

// Names that need no quotes, so that people can type them into sqlite3(1).
bool is_table_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto reserved = [&] {
    constexpr std::string_view kPrefix = "sqlite_";
    return std::equal(kPrefix.begin(), kPrefix.end(), name.begin(), name.begin() + static_cast<std::ptrdiff_t>(std::min(kPrefix.size(), name.size())),
                      [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
  };
  return !name.empty() && name.size() <= kLongestTable && letter(name.front()) && !reserved() &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

SqliteClient::SqliteClient(std::string_view text) {
  const std::size_t question = text.find('?');
  path = text.substr(0, question);
  if (question != std::string_view::npos) {
    constexpr std::string_view kTable = "table=";
    const std::string_view option = text.substr(question + 1);
    if (!option.starts_with(kTable)) refuse_database(text, fmt::format("'{}' is not understood", option));
    table = option.substr(kTable.size());
    if (table.empty()) refuse_database(text, "'' is no name for a table");
  }
  sqlite::check(*this);
}

void sqlite::check(const SqliteClient& client) {
  const std::string text = client.table.empty() ? client.path : client.path + "?table=" + client.table;
  if (client.path.find('\0') != std::string::npos) refuse_database(client.path.c_str(), "a path holds no zero byte");
  if (client.path == ":memory:") refuse_database(text, "a database in memory is nobody else's");
  if (client.table.empty()) return;
  if (!is_table_name(client.table))
    refuse_database(detail::printable(text), fmt::format("'{}' is no name for a table: letters, digits and _, not sqlite_", detail::printable(client.table)));
  if (client.path.empty()) refuse_database(text, "a table of which database");
}

}  // namespace sherlock
