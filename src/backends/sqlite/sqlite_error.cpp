// SPDX-License-Identifier: MIT
#include "backends/sqlite/sqlite_error.hpp"

#include <fmt/core.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sherlock::sqlite {
namespace {

using detail::Failure;

class ResultCodes : public std::error_category {
 public:
  const char* name() const noexcept override { return "sqlite"; }
  std::string message(int code) const override { return sqlite3_errstr(code); }
};

const std::error_category& result_codes() {
  static const auto* const category = new ResultCodes;  // never destroyed: there are exceptions while a program exits
  return *category;
}

// Made while the program is loaded: a fork in the middle of the first use would leave the child waiting for its end.
[[maybe_unused]] const std::error_category& codes_made_at_start = result_codes();

std::error_code as_cause(int code, int system) { return system != 0 ? std::error_code{system, std::generic_category()} : std::error_code{code, result_codes()}; }

// SQLite does not tell why it could not open a file, so the file is asked.
Failure cannot_open(int code, const std::string& said, const std::string& path, int system) {
  if (system == 0 && ::access(path.c_str(), F_OK) != 0) system = errno;
  if (system == ENOENT || system == ENOTDIR) return {Errc::cannot_create, said + "; make the directory first", as_cause(code, system)};
  if (system == 0 && ::access(path.c_str(), R_OK | W_OK) != 0) system = errno;
  if (system == EACCES || system == EPERM || system == ELOOP) return {Errc::unsafe, said + "; check owner and mode", as_cause(code, system)};
  if (system == EROFS) return {Errc::cannot_create, said + "; the file system is read-only: name a database elsewhere", as_cause(code, system)};
  return {Errc::system, said + "; out of descriptors perhaps: raise `ulimit -n`", as_cause(code, system)};
}

}  // namespace

std::string describe(int code) { return fmt::format("{} (SQLite code {})", sqlite3_errstr(code), code); }

void throw_code(int code, const std::string& text, const std::string& path, int system) {
  const std::string said = fmt::format("{}: {} (SQLite code {}{})", path, text, code,
                                       system ? fmt::format(", {}", std::generic_category().message(system)) : std::string{});
  if (code == SQLITE_READONLY_DBMOVED || code == SQLITE_IOERR_FSTAT) throw Moved{};  // the latter: gone while it was being opened
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: throw Busy{code};
    case SQLITE_PROTOCOL: throw Failure{Errc::busy, said, as_cause(code, system)};  // it has tried for ten seconds
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: throw Corrupt{Errc::damaged, said, as_cause(code, system)};
    case SQLITE_FULL: throw Full{Errc::system, said + "; make room, or name a database elsewhere", as_cause(code, system ? system : ENOSPC)};
    case SQLITE_CANTOPEN: throw cannot_open(code, said, path, system);
    case SQLITE_READONLY:
      throw Failure{system == EROFS ? Errc::cannot_create : Errc::unsafe, said + "; the database and its directory must be writable for us",
                    as_cause(code, system)};
    case SQLITE_PERM:
    case SQLITE_AUTH: throw Failure{Errc::unsafe, said, as_cause(code, system)};
    case SQLITE_NOMEM: throw Failure{Errc::system, said, std::make_error_code(std::errc::not_enough_memory)};
    case SQLITE_IOERR: throw Failure{Errc::system, said, as_cause(code, system)};
    case SQLITE_ERROR:
    case SQLITE_SCHEMA: throw Failure{Errc::damaged, said + "; was the table changed?", as_cause(code, system)};
    default: throw Failure{Errc::unavailable, said, as_cause(code, system)};
  }
}

}  // namespace sherlock::sqlite
