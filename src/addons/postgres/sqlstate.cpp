// SPDX-License-Identifier: MIT
#include "addons/postgres/sqlstate.hpp"

#include "addons/common/failure.hpp"

namespace sherlock::addons::postgres {

void throw_error(std::string_view sqlstate, const std::string& text) {
  static constexpr struct {
    std::string_view state;  // the beginning of it
    Errc errc;
    const char* way_out;
    bool again = false;
  } kKnown[] = {
      {"25006", Errc::unavailable, "it takes no writes: name the primary, or add target_session_attrs=read-write"},
      {"26000", Errc::unavailable, "a pooler is in between, which hands out other people's connections: name the server itself"},
      {"28", Errc::unavailable, "check user and password"},
      {"3D000", Errc::unavailable, "create the database, or name another one"},
      {"3F000", Errc::unavailable, "create the schema, or name another table: ?table=schema.name"},
      {"40", Errc::busy, "others were at the same row", true},
      {"42501", Errc::unavailable, "the user may not do this: see docs/addons/postgres.md for what it needs, or name a table of its own: ?table=schema.name"},
      {"42P01", Errc::unavailable, "the table was removed"},
      {"42P", Errc::damaged, "the table is not one of ours: name another one, ?table=schema.name"},
      {"427", Errc::damaged, "the table is not one of ours: name another one, ?table=schema.name"},
      {"428", Errc::damaged, "the table is not one of ours: name another one, ?table=schema.name"},
      {"23", Errc::damaged, "the table is not one of ours: name another one, ?table=schema.name"},
      {"53300", Errc::system, "raise max_connections"},
      {"53", Errc::system, "it is out of space or memory"},
      {"55P03", Errc::busy, "somebody's transaction keeps it"},
      {"57014", Errc::busy, "it took too long"},
      {"57P", Errc::unavailable, "try again soon", true},
      {"08", Errc::unavailable, "the connection broke", true},
  };
  const std::string said = "it says: " + text;
  for (const auto& known : kKnown) {
    if (!sqlstate.starts_with(known.state)) continue;
    if (known.again) throw Broken{known.errc, said + "; " + known.way_out};
    throw Failure{known.errc, said + "; " + known.way_out};
  }
  throw Failure{Errc::unavailable, said};
}

}  // namespace sherlock::addons::postgres
